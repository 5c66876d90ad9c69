"""Configuration: ``spine.toml`` (or ``[tool.spine]`` of pyproject.toml), then ``SPINE_*``, then flags.

Every value keeps where it came from, so ``spine info`` can show it. It opens nothing.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from modelspine.errors import BadInput
from modelspine.text import visible

_MARKERS = ("spine.toml", ".spine", ".git")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Where everything is, and the few numbers an operator chooses. Paths are absolute."""

    root: Path
    home: Path
    ledger: str
    traces: str
    mlflow: str
    artifacts: Path
    cache: Path
    parquet: Path
    """Where closed days of traces are exported to, and looked for."""
    drift_reports: Path
    eval_baseline: Path
    trust: Path
    """The committed list of keys whose verdicts count."""
    dvc_remote: str = ""
    """URL to fetch corpora from, instead of the default remote of .dvc/config."""
    env: Literal["dev", "prod"] = "dev"
    actor: str = "unknown"
    workload: str = "minitutor"
    text_policy: Literal["full", "hash", "none"] = "full"
    rate_per_hour: Annotated[float, msgspec.Meta(ge=0, lt=1e9)] | None = 0.05
    """USD for an hour of this machine; None where nobody knows it."""
    price_version: str = "2026-01"
    mirror: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,79}$")] | None = None
    """An MLflow registered model that shows what is promoted and routed; None for no mirror."""
    otlp: str = ""
    """Base URL of an OpenTelemetry collector; empty for what ``OTEL_EXPORTER_OTLP_ENDPOINT`` says, or none."""
    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 8080
    origins: dict[str, str] = {}
    """Setting name → where its value came from."""


_NAMES = tuple(name for name in Settings.__struct_fields__ if name not in ("root", "origins"))
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
    """Read the settings that hold in a folder.

    Raises:
        BadInput: an unknown setting, a value of the wrong kind, or a file that is not TOML.
    """
    environ = os.environ if environ is None else environ
    root = Path(environ["SPINE_ROOT"]) if environ.get("SPINE_ROOT") else find_root((start or Path.cwd()).absolute())
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, layer in (_file(root), ("SPINE_*", _environment(environ)), ("flag", dict(flags or {}))):
        for name, value in layer.items():
            if value is None:
                continue
            if name not in _NAMES:
                import difflib

                near = difflib.get_close_matches(name, _NAMES, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"settings are: {', '.join(_NAMES)}"
                raise BadInput(f"{origin} has an unknown setting {visible(name, 40)!r}", hint)
            values[name] = value
            origins[name] = f"SPINE_{name.upper()}" if origin == "SPINE_*" else origin
    return _complete(root, values, origins, environ)


def masked(value: str) -> str:
    """A setting's value with what may be secret in a URL hidden: a password, a user without one, a query's token."""
    return _QUERY.sub(r"\1•••", _USER.sub(r"\1•••@", _PASSWORD.sub(r"\1•••@", value)))


def _file(root: Path) -> tuple[str, dict[str, Any]]:
    for name, path in (("spine.toml", ()), ("pyproject.toml", ("tool", "spine"))):
        file = root / name
        if not file.is_file():
            continue
        try:
            table: Any = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise BadInput(f"{name} cannot be read: {visible(str(error), 120)}", f"mend {file}") from error
        for key in path:
            table = table.get(key, {})
        if table:
            return name, table
    return "spine.toml", {}


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    found = {name: environ.get(f"SPINE_{name.upper()}") for name in _NAMES}
    return {name: value for name, value in found.items() if value}


def _complete(root: Path, values: dict[str, Any], origins: dict[str, str], environ: Mapping[str, str]) -> Settings:
    home = root / str(values.get("home", ".spine"))
    defaults: dict[str, Any] = {
        "home": home,
        "ledger": f"sqlite:///{home / 'ledger.db'}",
        "traces": f"sqlite:///{home / 'traces.db'}",
        "mlflow": f"sqlite:///{home / 'mlflow.db'}",
        "artifacts": home / "mlartifacts",
        "cache": home / "cache",
        "parquet": home / "parquet",
        "drift_reports": root / "drift_reports",
        "eval_baseline": root / "eval_baseline.json",
        "trust": root / "spine.trust.json",
        "actor": _user(environ),
    }
    merged = {**defaults, **values}
    if merged.get("rate_per_hour") in ("", "unknown", "none"):
        merged["rate_per_hour"] = None
    for name in ("home", "artifacts", "cache", "parquet", "drift_reports", "eval_baseline", "trust"):
        merged[name] = str(root / str(merged[name]))
    for name in ("ledger", "traces", "mlflow"):
        merged[name] = _anchored(str(merged[name]), root)
    try:
        return msgspec.convert(
            {**merged, "root": str(root), "origins": origins}, Settings, strict=False, dec_hook=_path
        )
    except msgspec.ValidationError as error:
        name = str(error).rpartition("$.")[2].rstrip("`")
        where = origins.get(name, "its default")
        raise BadInput(f"{visible(name, 40)} is wrong: {visible(str(error), 160)}", f"mend it in {where}") from error


def _path(kind: type, value: Any) -> Any:
    return kind(value)


def _anchored(url: str, root: Path) -> str:
    """A SQLite URL with a relative path, read from the root and not from the working directory."""
    if url.startswith("sqlite:///") and not url.startswith("sqlite:////"):
        return f"sqlite:///{root / url.removeprefix('sqlite:///')}"
    return url


def _user(environ: Mapping[str, str]) -> str:
    name = environ.get("SPINE_ACTOR") or environ.get("USER") or environ.get("LOGNAME")
    if name:
        return name
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"
