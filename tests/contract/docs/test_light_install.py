"""The base install, in an empty environment: small, complete for the registry, and plain about what an extra brings."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bundles import eval_report, write_bundle
from miniobserve.manifests import Manifest, Part, Totals, manifest_key, part_key, strays_key
from miniobserve.schema import schema
from miniobserve.sql.open import connect
from miniobserve.stray_ids import hash_of, packed
from modelspine.extras import _PROVIDERS as PROVIDERS
from modelspine.gate.baseline import baseline_bytes, baseline_of
from modelspine.gate.eval_report import read_report

ROOT = Path(__file__).resolve().parents[3]
MOST = 200_000_000
"""Bytes that the environment may take, Python's own files included."""
HEAVY = {
    "torch",
    "mlflow",
    "dvc",
    "textual",
    "duckdb",
    "nanoarrow",
    "obstore",
    "boto3",
    "uvicorn",
    "starlette",
    "opentelemetry",
    "scipy",
    "numpy",
}
ENVIRONMENT = ("SPINE_", "MLFLOW_", "PYTHON")
"""What the settings, and another Python's modules, are passed in."""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and what it requires, each in the version of the lock."""
    folder = tmp_path_factory.mktemp("light")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    uv = str(Path(sys.executable).with_name("uv"))
    python = folder / "env" / "bin" / "python"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder / "env")], check=True)
    install = [uv, "pip", "install", "--python", str(python), "--constraint", str(ROOT / "requirements.lock")]
    done = subprocess.run([*install, str(wheel)], capture_output=True, text=True, env=_index())
    if any(words in done.stderr for words in ("Failed to fetch", "dns error", "error sending request")):
        pytest.skip("no package index answers here")
    assert done.returncode == 0, done.stderr
    return folder / "env"


def _index() -> dict[str, str]:
    """The environment in which uv looks where pip would, as ``./run`` has it too."""
    found = {**os.environ, "UV_LINK_MODE": "copy"}
    for name, key in (("UV_FIND_LINKS", "find-links"), ("UV_DEFAULT_INDEX", "index-url")):
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "get", f"global.{key}"]
        said = subprocess.run(pip, capture_output=True, text=True).stdout.strip()
        if said:
            found.setdefault(name, said)
    return found


@pytest.fixture
def spine(light: Path, project: Path) -> Run:
    """The ``spine`` of that environment, in a project whose committed baseline is 95 of 100."""
    (project / "data").mkdir()
    (project / "data" / "eval.jsonl").write_text("{}\n")
    report = read_report(json.dumps(_report()).encode())
    raw = baseline_bytes(baseline_of(report, reason="the first", approved_in="v0.1.0", entry_sha="a" * 64))
    (project / "eval_baseline.json").write_bytes(raw)

    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT)}
        command = [str(light / "bin" / "spine"), *words]
        return subprocess.run(command, cwd=project, env=own | more, capture_output=True, text=True, timeout=60)

    return run


def _report() -> dict[str, Any]:
    """95 of 100 right, over an eval set of one line."""
    hashes = {"sha256": hashlib.sha256(b"{}\n").hexdigest(), "dvc_hash": hashlib.md5(b"{}\n").hexdigest()}
    told = eval_report(95, 100)
    return told | {"eval_set": told["eval_set"] | hashes}


def _bundle(folder: Path, number: int, **more: Any) -> str:
    bundle = write_bundle(folder / f"bundle-{number}", number, **more)
    (bundle / "eval_report.json").write_text(json.dumps(_report()))
    return str(bundle)


def test_it_is_small_and_holds_nothing_heavy(light: Path) -> None:
    files = [path for path in light.rglob("*") if path.is_file() and not path.is_symlink()]
    assert sum(path.stat().st_size for path in files) < MOST
    (packages,) = light.glob("lib/python3*/site-packages")
    assert {path.name for path in packages.iterdir()} & HEAVY == set()
    ours = ("modelspine", "modelspine_console", "miniserve", "miniobserve", "minitutor")
    assert [name for name in ours if not (packages / name / "py.typed").is_file()] == []


def test_the_registry_works_from_init_to_rollback(spine: Run, tmp_path: Path) -> None:
    def answer(*words: str) -> dict[str, object]:
        done = spine(*words, "--json")
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        found: dict[str, object] = json.loads(done.stdout)
        return found

    assert spine("init", "--root", str(tmp_path)).returncode == 0
    assert spine("keys", "new", "--out", str(tmp_path / "key.pem")).returncode == 0
    bundles = [_bundle(tmp_path, number) for number in (1, 2)]
    shas = [str(answer("register", bundle)["sha"]) for bundle in bundles]
    assert answer("sha", bundles[0])["sha"] == shas[0]
    for number, sha in enumerate(shas):
        assert answer("gate", sha)["result"] == "pass"
        answer("promote", sha, "--semver", f"v0.{number}.0", "--reason", "it passed the gate")
    answer("route", "single", "v0.1.0", "--reason", "the newer one")
    answer("rollback", "v0.0.0", "--reason", "the older one again")
    for words in (["list"], ["show", shas[1]], ["verify"], ["history"], ["lineage", "production"], ["info"]):
        answer(*words)
        assert spine(*words).returncode == 0, words


@pytest.mark.parametrize(
    ("words", "more", "library", "extra"),
    [
        (["register", "0" * 32], {"SPINE_MLFLOW": "http://127.0.0.1:9"}, "MLflow", "mlflow"),
        (["corpus", "grep", "production", "went"], {}, "DVC", "dvc"),
        (["serve", "--port", "0"], {}, "", "serve"),
        (["list"], {"SPINE_LEDGER": "postgresql://127.0.0.1:9/none"}, "psycopg", "postgres"),
        (["evaluate", "production", "--out", "report.json"], {}, "", "tutor"),
        (["traces", "show", "req-0"], {}, "DuckDB", "parquet"),
    ],
)
def test_what_an_extra_brings_says_so(
    spine: Run, project: Path, tmp_path: Path, words: list[str], more: dict[str, str], library: str, extra: str
) -> None:
    corpora = [{"path": "data/corpus.jsonl", "dvc_hash": "d" * 32, "sha256": "e" * 64, "rows": 1}]
    bundle = _bundle(tmp_path, 1, corpora=corpora)
    sha = json.loads(spine("register", bundle, "--json").stdout)["sha"]
    assert spine("promote", sha, "--semver", "v0.1.0", "--reason", "x", "--override-gate").returncode == 0
    _closed_day(project)
    done = spine(*words, **more)
    assert done.returncode == 3, (done.stdout, done.stderr)
    assert f"this needs {library}" in done.stderr
    assert f"pip install 'modelspine[{extra}]'" in done.stderr
    said = json.loads(spine(*words, "--json", **more).stdout)["error"]
    assert (said["code"], said["kind"]) == (3, "unavailable")


def _closed_day(project: Path) -> None:
    """A DVC repository and an exported day, as a project has them whose files came from elsewhere."""
    (project / ".dvc").mkdir()
    entry = f"outs:\n- md5: {'d' * 32}\n  hash: md5\n  path: corpus.jsonl\n"
    (project / "data" / "corpus.jsonl.dvc").write_text(entry)
    store = connect(f"sqlite:///{project / '.spine' / 'traces.db'}", create=True)
    store.script(schema(store))
    key, days = part_key("2026-11-22", "default", 0, "0" * 64), project / ".spine" / "parquet"
    part = Part(
        path=key, bytes=4, sha256="0" * 64, rows=1, service="default", bucket=0, first_id="a", last_id="z", strays=1,
        strays_sha256="0" * 64, first_ns=0, last_ns=1,
    )  # fmt: skip
    made = Manifest(day="2026-11-22", n=1, created_ns=0, feedback_ns=0, buckets=1, totals=Totals(rows=1), parts=(part,))
    (days / key).parent.mkdir(parents=True)
    (days / key).write_bytes(b"PAR1")
    (days / strays_key(part)).write_bytes(packed([hash_of("req-0")]))
    (days / manifest_key("2026-11-22", 1)).write_bytes(msgspec.json.encode(made))


def test_the_console_says_so_too(light: Path, project: Path) -> None:
    ours, theirs = pty.openpty()
    try:
        command = [str(light / "bin" / "spine"), "console"]
        done = subprocess.run(command, cwd=project, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, timeout=60)
        said = os.read(ours, 10_000).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 3
    assert "this needs Textual: pip install 'modelspine[console]'" in said


def test_every_library_of_an_extra_has_its_line() -> None:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = told["optional-dependencies"]
    assert {extra for _, extra in PROVIDERS.values()} <= set(extras)
    assert {"mlflow", "dvc", "console", "web", "serve", "parquet", "postgres", "otlp", "tutor", "all"} <= set(extras)
    every = [line for name, lines in extras.items() if name not in ("dev", "bench", "peers") for line in lines]
    assert [line for line in [*told["dependencies"], *every] if "==" in line] == [], "pins belong to the lock"
    for module, (_, extra) in PROVIDERS.items():
        wanted = module.replace("_", "-").replace("mlflow", "mlflow-skinny")
        assert any(line.startswith(wanted) for line in extras[extra]), (module, extra)
    assert requires("modelspine")
