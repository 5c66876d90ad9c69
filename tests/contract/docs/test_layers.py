"""Packages of core and of the console stand in layers, and no two files anywhere import each other.

A package imports only packages to its right. What stands inside a function or under ``TYPE_CHECKING`` counts too:
a name that is only needed for a type still says where the knowledge is.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
Layers = tuple[set[str], ...]
"""From left to right; a layer imports only layers after it, and packages of one layer not each other."""
HOUSES: dict[str, tuple[Path, Layers]] = {
    "modelspine": (
        ROOT / "core" / "modelspine",
        (
            {"cli", "recorded_request"},
            {"process_recorder"},
            {"spine"},
            {"incident", "overview"},
            {"recording"},
            {"release", "maintenance", "drift", "cost"},
            {"project"},
            {"traffic", "lineage"},
            {"registry"},
            {"attestation"},
            {"gate", "identity", "kept_files"},
            {"ledger"},
            {
                "workload",
                "workload_package",
                "labelling",
                "described",
                "collect_table",
                "cost_table",
                "answering",
                "evaluating",
                "child_process",
                "model_process",
                "model_pool",
                "frames",
                "answer_check",
                "errors",
                "extras",
                "settings",
                "places",
                "signs",
                "text",
                "times",
                "canonical_json",
                "json_edit",
                "stats",
                "student_t",
                "projects",
                "words",
                "units_by_size",
                "files",
                "git",
                "git_files",
            },
        ),
    ),
    "modelspine_console": (
        ROOT / "console" / "modelspine_console",
        (
            {"command"},
            {"web", "demo"},
            {"app"},
            {"keymap"},
            {"controllers"},
            {"screens", "dialogs"},
            {"app_protocol"},
            {"widgets", "writes", "frame"},
            {"draw", "data", "action"},
        ),
    ),
}
"""Import name → its folder and its layers. The single modules of a last layer may need each other."""
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


def climbs(house: str, package: str, source: str) -> list[str]:
    """What a file of a package imports from a layer that is not below its own."""
    layers = HOUSES[house][1]
    rank = {name: number for number, layer in enumerate(layers) for name in layer}
    found = []
    for name in imported(source):
        parts = name.split(".")
        if parts[0] != house or (len(parts) > 1 and parts[1] == package):
            continue
        to = rank.get(parts[1])
        if to is None:
            found.append(f"{name}: from the package that holds them all")
        elif to <= rank[package] and not to == rank[package] == len(layers) - 1:
            found.append(name)
    return found


FILES = [
    (house, file)
    for house, (folder, _) in HOUSES.items()
    for file in sorted(folder.rglob("*.py"))
    if file != folder / "__init__.py"
]


@pytest.mark.parametrize(("house", "file"), FILES, ids=lambda each: str(each)[len(str(ROOT)) + 1 :])
def test_a_package_imports_only_packages_to_its_right(house: str, file: Path) -> None:
    package = file.relative_to(HOUSES[house][0]).with_suffix("").parts[0]
    assert climbs(house, package, file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("house", "package", "source"),
    [
        ("modelspine", "ledger", "from modelspine.registry.rules import may_answer"),
        ("modelspine", "ledger", "def late():\n    from modelspine.gate.rule import gate"),
        ("modelspine", "gate", "if TYPE_CHECKING:\n    from modelspine.incident.walk import Walk"),
        ("modelspine", "gate", "from modelspine.identity.bundle import Bundle"),
        ("modelspine", "release", "from modelspine.spine import Spine"),
        ("modelspine", "release", "from modelspine import open_spine"),
        ("modelspine", "text", "import modelspine.ledger.event"),
        ("modelspine", "drift", "from modelspine.cost.figures import costs"),
        ("modelspine_console", "screens", "from modelspine_console.dialogs.confirm import Confirm"),
        ("modelspine_console", "controllers", "if TYPE_CHECKING:\n    from modelspine_console.app import Console"),
    ],
)
def test_a_climb_is_seen(house: str, package: str, source: str) -> None:
    assert climbs(house, package, source)


@pytest.mark.parametrize("house", HOUSES)
def test_every_package_has_its_layer(house: str) -> None:
    folder, layers = HOUSES[house]
    there = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert there - {"__init__"} == set().union(*layers)
    assert len(there) - 1 == sum(map(len, layers)), "each in one layer"


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
