"""How the console is built: one door for text, no screen library before it is needed, small files."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock, call

import pytest

import modelspine_console
from modelspine_console.app import Console

FOLDER = Path(modelspine_console.__file__).parent
FILES = sorted(FOLDER.rglob("*.py"))
MAKERS = {
    "Content",
    "Text",
    "Segment",
    "Strip",
    "Span",
    "Static",
    "Label",
    "from_markup",
    "from_text",
    "from_rich_text",
    "render_markup",
}
STORES = {"modelspine.project", "modelspine.spine", "modelspine.registry.registry", "miniobserve.reader", "sqlite3"}
SHOWN = {"title", "sub_title", "border_title", "border_subtitle", "tooltip", "loading", "placeholder"}


def broken_rules(tree: ast.AST) -> list[str]:
    """Ways around ``modelspine_console.draw.sanitize`` in one module's syntax tree."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("textual.widgets"):
            found.append(f"{node.lineno}: a widget that draws by itself")
        if isinstance(node, ast.ImportFrom):
            bad = {alias.name for alias in node.names} & MAKERS - {"Strip"}
            found += [f"{node.lineno}: imports {name}" for name in bad]
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in MAKERS or name in {"notify", "mount_all", "render", "update", "push_screen_wait", "bell"}:
                found.append(f"{node.lineno}: calls {name}")
            for keyword in node.keywords:
                if keyword.arg in {"id", "classes"} and not isinstance(
                    keyword.value, ast.Constant | ast.Name | ast.Attribute
                ):
                    found.append(f"{node.lineno}: a made-up {keyword.arg}")
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found += [
                f"{node.lineno}: sets {t.attr}" for t in targets if isinstance(t, ast.Attribute) and t.attr in SHOWN
            ]
        if isinstance(node, ast.FunctionDef) and node.name in {"render", "render_str", "get_content_width"}:
            found.append(f"{node.lineno}: draws by {node.name}")
    return found


@pytest.mark.parametrize("file", [f for f in FILES if f.name != "sanitize.py"], ids=str)
def test_text_reaches_the_screen_through_one_door(file: Path) -> None:
    assert broken_rules(ast.parse(file.read_text())) == []


@pytest.mark.parametrize(
    "line",
    [
        "from textual.widgets import Static",
        "from textual.content import Content",
        "app.notify(data)",
        "Text.from_markup(data)",
        "widget.border_title = data",
        "self.sub_title = data",
        "Lines(id=data + 'x')",
        "widget.update(data)",
        "from rich.segment import Segment",
        "class A:\n    def render(self): return data",
    ],
)
def test_a_way_around_is_found(line: str) -> None:
    assert broken_rules(ast.parse(line))


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.name)
def test_files_and_functions_stay_small(file: Path) -> None:
    text = file.read_text()
    assert text.count("\n") <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 40, f"{node.name} is long"


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("modelspine_console.command", ["textual", "rich"]),
        (
            "modelspine_console.app",
            ["mlflow", "dvc", "torch", "numpy", "scipy", "minitutor", "miniserve", "duckdb", "sqlalchemy", "plotext"],
        ),
    ],
)
def test_imports_are_light(module: str, absent: list[str]) -> None:
    code = f"import sys, {module}; print(*[m for m in {absent!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_only_source_reads_stores_and_only_changes_writes_them() -> None:
    for file in FILES:
        names = {alias for node in ast.walk(ast.parse(file.read_text())) for alias in _imported(node)}
        if file.name not in ("source.py", "command.py"):
            assert not names & STORES, file.name
        text = file.read_text()
        assert ("readonly=False" in text) == (file.name == "changes.py"), file.name


def test_bindings_are_the_table() -> None:
    from modelspine_console.keymap import ACTIONS

    assert {binding.id for binding in Console.BINDINGS} == {action.id for action in ACTIONS}


def test_the_registry_speaks_about_every_change_it_offers() -> None:
    from modelspine_console.keymap import CHANGES
    from modelspine_console.screens import registry

    assert {action.id for action in CHANGES if "registry" in action.where} == {*registry.CHANGES}


def test_what_changes_something_is_a_capital_that_only_write_mode_has() -> None:
    from modelspine_console.keymap import ACTIONS

    for action in ACTIONS:
        on = Mock()
        action.run(on)
        assert len(on.method_calls) == 1, action.id
        assert on.write_mode.method_calls == ([call.ask(action.id)] if action.mutates else []), action.id
        if action.mutates:
            assert all(len(key) == 1 and key.isupper() for key in action.keys), action.id
    for file in FILES:
        if file.name not in ("changes.py", "write_mode.py"):
            assert "carry_out" not in file.read_text(), file.name


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.If):
        return []
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""] if node.col_offset == 0 else []
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
