"""Packages of core stand in layers, and no two files anywhere import each other.

A package imports only packages to its right. What stands inside a function or under ``TYPE_CHECKING`` counts too:
a name that is only needed for a type still says where the knowledge is.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "core" / "modelspine"
LAYERS = (
    {"cli"},
    {"spine"},
    {"incident"},
    {"release", "maintenance", "drift", "cost"},
    {"project"},
    {"traffic", "lineage"},
    {"registry"},
    {"attestation"},
    {"gate", "identity"},
    {"ledger"},
    {"workload", "errors", "settings", "text", "times", "canonical_json", "stats", "files", "git"},
)
"""From left to right; a layer imports only layers after it, and packages of one layer not each other."""
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
FOLDERS = (ROOT / "core", ROOT / "console", ROOT / "src")


def modules() -> dict[str, Path]:
    """Every module of the project by the name it is imported by."""
    found = {}
    for folder in FOLDERS:
        for file in folder.rglob("*.py"):
            parts = file.relative_to(folder).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imported(source: str) -> Iterator[str]:
    """Every module, or name of one, that a file imports, wherever in the file it does so."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def climbs(package: str, source: str) -> list[str]:
    """What a file of a package of core imports from a layer that is not below its own."""
    found = []
    for name in imported(source):
        parts = name.split(".")
        if parts[0] != "modelspine":
            continue
        if parts[1] not in RANK:
            found.append(f"{name}: from the package that holds them all")
        elif parts[1] != package and RANK[parts[1]] <= RANK[package]:
            # The modules of the last layer need each other; a circle among them is found below.
            found += [] if RANK[parts[1]] == len(LAYERS) - 1 else [name]
    return found


FILES = sorted(file for file in CORE.rglob("*.py") if file != CORE / "__init__.py")


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(CORE)))
def test_a_package_imports_only_packages_to_its_right(file: Path) -> None:
    package = file.relative_to(CORE).with_suffix("").parts[0]
    assert climbs(package, file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("ledger", "from modelspine.registry.rules import may_answer"),
        ("ledger", "def late():\n    from modelspine.gate.rule import gate"),
        ("gate", "if TYPE_CHECKING:\n    from modelspine.incident.walk import Walk"),
        ("gate", "from modelspine.identity.bundle import Bundle"),
        ("release", "from modelspine.spine import Spine"),
        ("release", "from modelspine import open_spine"),
        ("text", "import modelspine.ledger.event"),
        ("drift", "from modelspine.cost.figures import costs"),
    ],
)
def test_a_climb_is_seen(package: str, source: str) -> None:
    assert climbs(package, source)


def test_every_package_has_its_layer() -> None:
    there = {path.stem for path in CORE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert there - {"__init__"} == RANK.keys()


def graph(sources: dict[str, str]) -> dict[str, set[str]]:
    """Module → the modules it imports, as far as they are among these."""
    made: dict[str, set[str]] = {}
    for module, source in sources.items():
        named = {name if name in sources else name.rpartition(".")[0] for name in imported(source)}
        made[module] = (named & sources.keys()) - {module}
    return made


def circles(edges: dict[str, set[str]]) -> set[str]:
    """The modules on a circle: whatever imports nothing that is left, or is imported by nothing left, is taken away."""
    left = {module: set(others) for module, others in edges.items()}
    while True:
        ends = {module for module, others in left.items() if not others & left.keys()}
        wanted = {other for others in left.values() for other in others}
        ends |= left.keys() - wanted
        if not ends:
            return set(left)
        left = {module: others - ends for module, others in left.items() if module not in ends}


def test_no_two_files_import_each_other() -> None:
    sources = {name: file.read_text(encoding="utf-8") for name, file in modules().items()}
    assert circles(graph(sources)) == set()


def test_a_circle_is_seen() -> None:
    sources = {
        "a": "def late():\n    from b import x",
        "b": "if TYPE_CHECKING:\n    import c.d",
        "c.d": "import a",
        "e": "import a",
        "f": "",
    }
    assert circles(graph(sources)) == {"a", "b", "c.d"}
