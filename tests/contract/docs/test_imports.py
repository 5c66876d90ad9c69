"""Imports run one way, and nothing heavy stands on the way to an answer or a first frame."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import modelspine
from modelspine import errors

ROOT = Path(__file__).parents[3]
FLOORS = {
    "miniobserve": (ROOT / "src" / "miniobserve", set()),
    "minitutor": (ROOT / "src" / "minitutor", set()),
    "modelspine": (ROOT / "core" / "modelspine", {"miniobserve"}),
    "miniserve": (ROOT / "src" / "miniserve", {"modelspine", "miniobserve"}),
    "modelspine_console": (ROOT / "console" / "modelspine_console", {"modelspine", "miniobserve"}),
}
"""Package → its folder, and the packages of this project it may import."""
CORE_TAKES = {
    f"miniobserve.{name}"
    for name in (
        "reader",
        "writer",
        "ids",
        "evidence",
        "daily",
        "traces",
        "sql",
        "cost",
        "uptime",
        "archive",
        "export",
        "closed_check",
        "objects",
        "migrate",
        "transfer",
        "fold",
        "search",
        "search_terms",
        "field_tests",
        "saying",
        "label_store",
        "labelled",
        "tables",
    )
}
HEAVY = {"textual", "rich", "mlflow", "dvc", "torch", "numpy", "scipy", "sqlalchemy", "pandas"}
HEAVY |= {"psycopg", "duckdb", "pyarrow", "opentelemetry", "obstore", "boto3"}


def imported(source: str) -> Iterator[str]:
    """Every module a file imports, wherever in the file it does so."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide which floor they lead to"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _name(node) in ("import_module", "__import__"):
            first = node.args[0]
            yield first.value if isinstance(first, ast.Constant) else _start(first)


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _start(value: ast.expr) -> str:
    """What a computed module name is known to begin with; nothing known is everything forbidden."""
    if isinstance(value, ast.JoinedStr) and isinstance(value.values[0], ast.Constant):
        return str(value.values[0].value)
    return "minitutor.unknown"


def forbidden(package: str, allowed: set[str], source: str) -> set[str]:
    """The modules of other floors a file imports and may not."""
    others = FLOORS.keys() - allowed - {package}
    found = {name for name in imported(source) if name.split(".")[0] in others}
    if package == "modelspine":
        observed = {name for name in imported(source) if name.split(".")[0] == "miniobserve"}
        found |= {name for name in observed if not any(f"{name}.".startswith(f"{own}.") for own in CORE_TAKES)}
    return found


@pytest.mark.parametrize("package", FLOORS)
def test_imports_run_one_way(package: str) -> None:
    folder, allowed = FLOORS[package]
    files = sorted(folder.rglob("*.py"))
    assert files
    for file in files:
        assert forbidden(package, allowed, file.read_text(encoding="utf-8")) == set(), file


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("modelspine", "import modelspine_console"),
        ("modelspine", "def f():\n    from miniserve.app import x"),
        ("modelspine", "from miniobserve.prune import prune_days"),
        ("modelspine", "from miniobserve import metrics"),
        ("minitutor", "from modelspine.workload import Answer"),
        ("miniobserve", "import modelspine.errors"),
        ("modelspine_console", "import minitutor"),
        ("miniserve", "import importlib\nimportlib.import_module('minitutor.engine')"),
        ("modelspine_console", "import_module(name)"),
    ],
)
def test_the_walk_sees_a_forbidden_import(package: str, source: str) -> None:
    assert forbidden(package, FLOORS[package][1], source)


def loaded_by(module: str) -> set[str]:
    """The top-level modules a fresh process holds after importing one."""
    code = f"import sys, json, {module}; print(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    "module",
    [
        "modelspine",
        "modelspine.spine",
        "modelspine.cli",
        "modelspine.cli.entries, modelspine.cli.incident, modelspine.cli.help",
    ],
)
def test_core_loads_nothing_heavy(module: str) -> None:
    loaded = loaded_by(module)
    assert "modelspine" in loaded
    assert loaded & (HEAVY | {"modelspine_console", "miniserve", "minitutor"}) == set()


def test_the_public_names_are_there_and_load_nothing_until_they_are_used() -> None:
    code = (
        "import sys, modelspine; before = sorted(m for m in sys.modules if m.startswith('modelspine')); "
        "from modelspine import *; assert open_spine.__module__ == Spine.__module__ == 'modelspine.spine'; "
        "print(before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ast.literal_eval(done.stdout) == ["modelspine", "modelspine.errors"]
    tree = {
        name for name, made in vars(errors).items() if isinstance(made, type) and made.__module__ == errors.__name__
    }
    assert set(modelspine.__all__) == tree | {"Spine", "open_spine", "request"}
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = modelspine.nothing


def test_what_others_rely_on_is_found() -> None:
    """By these names other projects, and the page about a workload of one's own, reach in."""
    from modelspine.cli import main
    from modelspine.gate.baseline import baseline_bytes, baseline_of
    from modelspine.gate.eval_report import read_report
    from modelspine.workload import Answer, Probe

    assert all(map(callable, (main, baseline_bytes, baseline_of, read_report, Answer, Probe)))
    assert {point.value for point in entry_points(group="console_scripts", name="spine")} == {"modelspine.cli:main"}
    assert {point.name for point in entry_points(group="spine.commands")} >= {
        "serve",
        "collect",
        "watch",
        "console",
        "demo",
    }
    assert {point.name for point in entry_points(group="spine.workloads")} >= {"minitutor"}


def test_the_console_loads_no_model_library() -> None:
    assert loaded_by("modelspine_console.app") & {"mlflow", "dvc", "torch"} == set()


def test_a_command_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys, json; from modelspine.cli import main\n"
        "for words in (['init'], ['list'], ['verify'], ['history'], ['info'], ['--help'], ['completion', 'bash']):\n"
        f"    assert main([*words, '--root', {str(tmp_path)!r}]) == 0, words\n"
        "print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout.splitlines()[-1])) & HEAVY == set()
