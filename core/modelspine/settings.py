"""Configuration: ``spine.toml`` (or ``[tool.spine]`` in pyproject.toml), then ``SPINE_*``, then flags; the last wins.

Each value records its origin, so that ``spine info`` can show it. This module reads configuration only; it opens
no store.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from modelspine.collect_table import CollectTable
from modelspine.cost_table import Amount, Prices
from modelspine.described.table import WorkloadTable
from modelspine.errors import BadInput
from modelspine.places import PATHS, anchored, place
from modelspine.text import visible

MOST_WORKERS = 256
"""Most worker processes of one server."""
SERVICE = r"^([A-Za-z0-9][A-Za-z0-9._-]{0,39})?$"
"""The form of a service's name; empty where there is none."""
_SERVICE = "a name has up to 40 letters of A-Z and a-z, digits and . _ -, and begins with a letter or digit"
COMMITTED = {
    "eval_baseline": "eval_baseline.json",
    "trust": "spine.trust.json",
    "testers": "spine.testers.json",
}
"""Settings that name files which count as committed, with the names that they have by default."""
_MARKERS = ("spine.toml", ".spine", ".git")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Locations of a project's stores, and the values an operator chooses. Paths are absolute."""

    root: Path
    home: Path
    ledger: str
    traces: str
    mlflow: str
    artifacts: Path
    cache: Path
    parquet: str
    """Where the closed days of traces are: an absolute folder, or the URL of a bucket that ``miniobserve.objects``
    opens."""
    files: str = ""
    """Where the bytes of images and other files are kept that requests consist of: an absolute folder or the URL of a
    bucket; empty to keep their digests alone."""
    drift_reports: Path
    engine: Annotated[str, msgspec.Meta(pattern=r"^(local|ray://[A-Za-z0-9.:_-]+)$")] = "local"
    """What sums up large reports: ``local``, or a Ray cluster as ``ray://HOST:PORT`` or ``ray://auto``."""
    eval_baseline: Path
    trust: Path
    """The committed list of keys whose signed verdicts are accepted."""
    testers: Path
    """The committed list of keys whose tester tokens are accepted; servers read it when they start."""
    dvc_remote: str = ""
    """URL to fetch corpora from; empty for the default remote of ``.dvc/config``."""
    corpus_text: str = ""
    """Column of a corpus's rows that holds their text; empty to take ``text``, or the usual name that is there."""
    env: Literal["dev", "prod"] = "dev"
    service: Annotated[str, msgspec.Meta(pattern=SERVICE)] = ""
    """Name of the service that this project deploys; recorded with each entry. Empty if it has none."""
    actor: str = "unknown"
    workload: str | WorkloadTable = ""
    """Name of the model service in the entry-point group ``spine.workloads``, empty for the only one installed; or the
    table that describes a service whose answers come from elsewhere."""
    text_policy: Literal["full", "hash", "none"] = "full"
    rate_per_hour: Amount | None = None
    """Rent of this machine per hour, in USD or the currency of ``cost``; None if unknown, and then answers have no
    price."""
    right_score: Annotated[float, msgspec.Meta(ge=-1e300, le=1e300)] | None = None
    """From which score on, said of an answer later, the answer is right; None where scores grade nothing."""
    price_version: str = "2026-01"
    cost: Prices = Prices()
    """Prices of models billed by token; only in the file."""
    collect: CollectTable = CollectTable()
    """Where the spans of a server that is not ours keep what a trace needs; only in the file."""
    mirror: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,79}$")] | None = None
    """Name of the MLflow registered model that mirrors promotions and routes; None for no mirror."""
    otlp: str = ""
    """Base URL of an OpenTelemetry collector; empty to use ``OTEL_EXPORTER_OTLP_ENDPOINT``, if that is set."""
    workers: Annotated[int, msgspec.Meta(ge=0, le=MOST_WORKERS)] = 0
    """Processes of a server that answer, and of an evaluation; 0 for one for each core."""
    worker_memory_mb: Annotated[int, msgspec.Meta(ge=0, le=1 << 20)] = 2048
    """Most MiB of private memory of each of these processes, and of the shadow's; 0 for no limit."""
    max_body_kb: Annotated[int, msgspec.Meta(ge=0, le=16_384)] = 0
    """Most KiB of a request of ``spine serve``, or an export to ``spine collect``; 0 for 10, or 4,096 of an export."""
    cors_origins: str = ""
    """Origins of web pages that may read a server's replies, separated by commas; ``*`` for all. Empty for none."""
    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 8080
    origins: dict[str, str] = {}
    """Setting name → where its value came from; defaults are not listed."""

    @property
    def keeps_files(self) -> bool:
        """Whether bytes are kept: as a learner's text in another form, only where a trace keeps the text in full."""
        return bool(self.files) and self.text_policy == "full"

    @property
    def names_workload(self) -> bool:
        """Whether this project says which workload loads its models; the default is a guess, and a table loads none."""
        return "workload" in self.origins and isinstance(self.workload, str)

    @property
    def names_mlflow(self) -> bool:
        """Whether this project says where MLflow's runs and artifacts are; the default is a place on this disk."""
        return "mlflow" in self.origins or "artifacts" in self.origins

    @property
    def service_name(self) -> str:
        """What to call what this project serves: its service, else its workload, else its folder."""
        named = self.workload if isinstance(self.workload, str) else self.workload.name
        return self.service or named or self.root.name


_NAMES = tuple(name for name in Settings.__struct_fields__ if name not in ("root", "origins"))
# Each pattern matches one place where a connection URL can carry a secret: the password of user:password@, a lone
# user name (some services take a token there), and query parameters whose name suggests a credential.
_PASSWORD = re.compile(r"(://[^:/?#@\s]*:)\S*@")
_USER = re.compile(r"(://)[^:/?#@]+@")
_QUERY = re.compile(
    r"([?&;#\s][^=&;#\s]*(?:token|secret|pass|pwd|key|sig|cred|auth)[^=&;#\s]*=)[^&;#\s]+", re.IGNORECASE
)


def find_root(start: Path) -> Path:
    """The nearest folder at or above ``start`` that holds ``spine.toml``, ``.spine`` or ``.git``; else ``start``."""
    for folder in (start, *start.parents):
        if any((folder / marker).exists() for marker in _MARKERS):
            return folder
    return start


def load(
    start: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, str | None] | None = None,
) -> Settings:
    """The settings in force for a folder.

    Args:
        start: where the search for the project's root begins; the working directory by default.
        environ: the environment variables; those of the process by default.
        flags: values from the command line by setting name; None means that the flag was not given.

    Raises:
        BadInput: a setting is unknown, a value has the wrong type, or a file cannot be read as TOML.
    """
    environ = os.environ if environ is None else environ
    root = Path(environ["SPINE_ROOT"]) if environ.get("SPINE_ROOT") else find_root((start or Path.cwd()).absolute())
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    # Later layers win, and an unknown name is an error everywhere: a misspelt setting must not be silently ignored.
    for origin, layer in (_file(root), ("SPINE_*", _environment(environ)), ("flag", dict(flags or {}))):
        for name, value in layer.items():
            if value is None:
                continue
            if name not in _NAMES:
                import difflib  # only needed for this message

                near = difflib.get_close_matches(name, _NAMES, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"known settings: {', '.join(_NAMES)}"
                raise BadInput(f"{origin} has an unknown setting {visible(name, 40)!r}", hint)
            values[name] = value
            origins[name] = f"SPINE_{name.upper()}" if origin == "SPINE_*" else origin
    return _complete(root, values, origins, environ)


def masked(value: str) -> str:
    """A setting's value with possible secrets in a URL replaced: passwords, lone user names and query tokens."""
    return _QUERY.sub(r"\1•••", _USER.sub(r"\1•••@", _PASSWORD.sub(r"\1•••@", value)))


def settings_file(root: Path) -> str | None:
    """The name of the file with a project's settings, which may be empty; None where there is none."""
    if (root / "spine.toml").exists():
        return "spine.toml"
    name, table = _file(root)
    return name if table else None


def file_settings(read: Callable[[str], bytes | None]) -> tuple[str, dict[str, Any]]:
    """The name and the settings of the first configuration file that has any.

    ``read`` gives the content of a file of the project's folder, on disk or in a commit; None if there is no such file.

    Raises:
        BadInput: a file cannot be read as TOML.
    """
    for name, path in (("spine.toml", ()), ("pyproject.toml", ("tool", "spine"))):
        try:
            raw = read(name)
            table: Any = tomllib.loads(raw.decode("utf-8")) if raw is not None else {}
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise BadInput(f"{name} cannot be read: {visible(str(error), 120)}", f"correct {name}") from error
        for key in path:
            table = table.get(key, {}) if isinstance(table, dict) else table
        if not isinstance(table, dict):
            raise BadInput(f"[{'.'.join(path)}] in {name} is not a table", f"correct {name}")
        if table:
            return name, table
    return "spine.toml", {}


def _file(root: Path) -> tuple[str, dict[str, Any]]:
    return file_settings(lambda name: (root / name).read_bytes() if (root / name).is_file() else None)


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The settings given by ``SPINE_*`` variables; an empty variable counts as unset."""
    texts = (name for name in _NAMES if name not in ("cost", "collect"))  # a table is no text
    return {name: value for name in texts if (value := environ.get(f"SPINE_{name.upper()}"))}


def _complete(root: Path, values: dict[str, Any], origins: dict[str, str], environ: Mapping[str, str]) -> Settings:
    """The given values with the defaults added, paths made absolute and types checked."""
    home = root / str(values.get("home", ".spine"))
    defaults: dict[str, Any] = {
        "home": home,
        "ledger": f"sqlite:///{home / 'ledger.db'}",
        "traces": f"sqlite:///{home / 'traces.db'}",
        "mlflow": f"sqlite:///{home / 'mlflow.db'}",
        "artifacts": home / "mlartifacts",
        "cache": home / "cache",
        "parquet": home / "parquet",
        "files": "",
        "drift_reports": root / "drift_reports",
        **{name: root / file for name, file in COMMITTED.items()},
        "actor": _user(environ),
    }
    # Other defaults are those of the struct; these depend on the root, the home or the environment.
    merged = {**defaults, **values}
    if merged.get("rate_per_hour") in ("", "unknown", "none"):
        merged["rate_per_hour"] = None  # TOML and environment variables have no null
    for name in PATHS:
        if (name, merged[name]) == ("files", ""):  # no place, and not the project's folder
            continue
        merged[name] = place(name, str(merged[name]), root, origins.get(name, "its default"))
    for name in ("ledger", "traces", "mlflow"):
        merged[name] = anchored(str(merged[name]), root)
    try:
        # strict=False, because environment variables and flags are texts where the settings are numbers.
        made = msgspec.convert(
            {**merged, "root": str(root), "origins": origins}, Settings, strict=False, dec_hook=_path
        )
    except msgspec.ValidationError as error:
        # msgspec ends its message with the path: `$.port` or `$.cost.tokens[...].input`
        name = re.split(r"[.\[]", str(error).rpartition("$.")[2].rstrip("`"))[0]
        where = origins.get(name, "its default")
        why = _SERVICE if name == "service" else str(error)
        raise BadInput(
            f"the setting {visible(name, 40)} is not valid: {visible(why, 160)}", f"correct it in {where}"
        ) from error
    made.cost.check_names()
    if made.cost.price_version is None or origins.get("price_version", "").startswith(("SPINE_", "flag")):
        return made  # a variable or a flag wins over the file, and the table is in the file
    return msgspec.structs.replace(made, price_version=made.cost.price_version)


def _path(kind: type, value: Any) -> Any:
    """Decode the one type of ``Settings`` that msgspec does not know: ``Path``."""
    return kind(value)


def _user(environ: Mapping[str, str]) -> str:
    """The name to record as the actor of changes."""
    name = environ.get("SPINE_ACTOR") or environ.get("USER") or environ.get("LOGNAME")
    if name:
        return name
    import getpass

    try:  # in a container the user id often has no name
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"
