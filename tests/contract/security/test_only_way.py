"""There is one way into production: the append in ``Registry.promote``, behind a verified verdict.

Held from three sides: who writes the events that move a pointer (read from the source), what every public method,
command, flag and variable does to a prod ledger when it is handed an entry nobody signed for, and who can make the
``VerifiedVerdict`` that promotion asks for. ``docs/SECURITY.md`` says what that guard is not.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import functools
import inspect
import os
import pickle
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from modelspine.attestation.verdict import VerifiedVerdict
from modelspine.cli import main
from modelspine.cli.parser import Parser
from modelspine.cli.verbs import VERBS, full_parser
from modelspine.errors import Refused, SpineError
from modelspine.registry.mlflow_files import LocalPlace
from modelspine.registry.mlflow_runs import Found
from modelspine.registry.mlflow_source import read_source
from modelspine.registry.registry import Registry
from modelspine.release.promotion import Attempt
from modelspine.settings import Settings
from modelspine.traffic.commands import Routing
from prod import Prod, make_prod, pointers

ROOT = Path(__file__).resolve().parents[3]
SOURCES = sorted(file for folder in ("core", "console", "src/miniserve") for file in (ROOT / folder).rglob("*.py"))
MOVES = ("promoted", "routed", "rolled_back")
HATCH = re.compile(r"force|skip|bypass|unsafe|insecure|ignore|unchecked|no-?verif|no-?gate|no-?sign|yes|override")


@pytest.fixture(scope="module")
def prod(tmp_path_factory: pytest.TempPathFactory) -> Prod:
    return make_prod(tmp_path_factory.mktemp("only-way") / "prod")


# the source -----------------------------------------------------------------------------------------------------


@functools.cache
def calls(file: Path) -> list[tuple[str, ast.Call, ast.AST]]:
    """Every call in a file with the innermost function it stands in."""

    def walk(node: ast.AST, name: str, inside: ast.AST) -> Iterator[tuple[str, ast.Call, ast.AST]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from walk(child, child.name, child)
                continue
            if isinstance(child, ast.Call):
                yield name, child, inside
            yield from walk(child, name, inside)

    tree = ast.parse(file.read_text(encoding="utf-8"))
    return list(walk(tree, "", tree))


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def calls_by_name(node: ast.Call, name: str) -> bool:
    """Whether a call is of a function of that name, and not of a method."""
    return isinstance(node.func, ast.Name) and node.func.id == name


def keyword(node: ast.Call, name: str) -> ast.expr | None:
    return next((each.value for each in node.keywords if each.arg == name), None)


def makers() -> dict[str, set[str]]:
    """``module:function`` → the kinds of event it drafts; ``?`` where the kind is no literal."""
    found: dict[str, set[str]] = {}
    for file in SOURCES:
        for name, call, _ in calls(file):
            if called(call) == "Draft":
                kind = keyword(call, "kind")
                said = kind.value if isinstance(kind, ast.Constant) else "?"
                found.setdefault(f"{os.path.relpath(file, ROOT)}:{name}", set()).add(str(said))
    return found


def test_one_function_drafts_a_promotion() -> None:
    assert [where for where, kinds in makers().items() if "promoted" in kinds] == [
        "core/modelspine/registry/registry.py:decide"
    ]


def test_every_draft_that_may_move_traffic_stands_behind_a_rule() -> None:
    """A draft of a route is made where ``registry.rules`` was asked whether the entry may answer, or by a promotion."""
    for where, kinds in makers().items():
        if not kinds & {*MOVES, "?"}:
            continue
        if where == "core/modelspine/ledger/transactions.py:_change":  # that one compares and appends nothing
            continue
        module, _, name = where.partition(":")
        guarded = [inside for function, _, inside in calls(ROOT / module) if function == name]
        guarded += [inside for file in SOURCES for _, call, inside in calls(file) if calls_by_name(call, name)]
        asked = {called(call) for inside in guarded for call in ast.walk(inside) if isinstance(call, ast.Call)}
        assert [rule for rule in asked if rule.startswith("may_")], where


def test_the_ledger_is_appended_to_in_three_places() -> None:
    found = {
        f"{os.path.relpath(file, ROOT)}:{name}"
        for file in SOURCES
        for name, call, _ in calls(file)
        if called(call) == "append" and keyword(call, "expected") is not None
    }
    assert found == {
        "core/modelspine/ledger/transactions.py:_change",  # what a rule allowed, on the state it was decided on
        "core/modelspine/registry/registry.py:promote",  # the denial
        "core/modelspine/spine.py:create_ledger",  # the first event
    }


def test_nobody_else_writes_the_events_table() -> None:
    for file in SOURCES:
        writes = re.search(r"(INTO|UPDATE|FROM)\s+events\b", file.read_text(encoding="utf-8"))
        if writes is not None and file.name != "store.py":
            assert writes[1] == "FROM", file
            assert "DELETE FROM events" not in file.read_text(encoding="utf-8"), file


def test_the_one_token_stays_in_its_module() -> None:
    for file in SOURCES:
        if file != ROOT / "core" / "modelspine" / "attestation" / "verdict.py":
            text = file.read_text(encoding="utf-8")
            assert not re.search(r"\bverdict\._TOKEN", text), file
            assert not [call for _, call, _ in calls(file) if called(call) == "VerifiedVerdict"], file


def test_the_promotion_asks_rule_bytes_and_verdict_before_it_drafts() -> None:
    """The order in ``promote``: nothing is drafted before everything was asked."""
    text = inspect.getsource(Registry.promote)
    order = [
        text.index(piece) for piece in ("may_promote(", "self.hashed(", "verdict_record(verdict(", 'kind="promoted"')
    ]
    assert order == sorted(order)


ROGUES: dict[str, tuple[str, Callable[[], None]]] = {
    "a second promotion": (
        "def slip(ledger):\n    return Draft(kind='promoted', body={})", test_one_function_drafts_a_promotion,
    ),
    "a route behind no rule": (
        "def slip(sha):\n    return Draft(kind='routed', body={'sha': sha})",
        test_every_draft_that_may_move_traffic_stands_behind_a_rule,
    ),
    "a kind made up on the way": (
        "def slip(kind):\n    return Draft(kind='pro' + kind, body={})",
        test_every_draft_that_may_move_traffic_stands_behind_a_rule,
    ),
    "an append of its own": (
        "def slip(spine, drafts):\n    spine.ledger.append(drafts, expected=None)",
        test_the_ledger_is_appended_to_in_three_places,
    ),
    "a row of its own": ("SQL = 'INSERT INTO events VALUES (?)'", test_nobody_else_writes_the_events_table),
    "a verdict of its own": (
        "def slip(core):\n    return VerifiedVerdict(1, 2, token=core.attestation.verdict._TOKEN)",
        test_the_one_token_stays_in_its_module,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ROGUES)
def test_a_source_with_another_way_is_caught(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, check = ROGUES[name]
    rogue = tmp_path / "rogue.py"
    rogue.write_text(text)
    check()
    monkeypatch.setitem(globals(), "SOURCES", [*SOURCES, rogue])
    with pytest.raises(AssertionError):
        check()


# what is handed to the registry ---------------------------------------------------------------------------------

GUESSES: dict[str, Any] = {
    "ref": "good", "sha": "good", "semver": "v9.9.9", "reason": "because", "text": "a note", "override": True,
    "verdict": lambda *_: object(), "result": "pass", "report": "0" * 64, "baseline": "0" * 64,
}  # fmt: skip
"""What a parameter is given by its name; others by their kind."""


def guess(parameter: inspect.Parameter, prod: Prod) -> Any:
    value = GUESSES.get(parameter.name)
    if value == "good":
        return prod.entries["good"]
    if value is not None:
        return value
    if "None" in str(parameter.annotation):
        return None
    if str(parameter.annotation) == "Found":
        bundle = prod.root / ".spine" / "cache" / prod.entries["good"]
        return Found(source=read_source("x"), place=LocalPlace(bundle), path="", run=None)
    for kind, made in (("Path", prod.root), ("bool", True), ("int", 1), ("str", "x")):
        if kind in str(parameter.annotation):
            return made
    return parameter.default if parameter.default is not parameter.empty else ()


PUBLIC = sorted(
    f"{part}.{name}"
    for part, made in (("registry", Registry), ("routing", Routing))
    for name, _ in inspect.getmembers(made, inspect.isfunction)
    if not name.startswith("_")
)


@pytest.mark.parametrize("name", PUBLIC)
@pytest.mark.parametrize("plain", [True, False], ids=["plainly", "with everything"])
def test_no_method_of_registry_or_routing_moves_production_to_what_nobody_signed(
    name: str, prod: Prod, plain: bool, tmp_path: Path
) -> None:
    twin = prod.copy(tmp_path / "twin")
    with twin.open("dev") as spine:
        before = pointers(spine)
        part, _, verb = name.partition(".")
        method = getattr(getattr(spine, part), verb)
        words = {
            each.name: guess(each, twin)
            for each in inspect.signature(method).parameters.values()
            if not plain or each.default is each.empty
        }
        with contextlib.suppress(SpineError):  # refused or not, only the pointers count
            method(**words)
        assert pointers(spine) == before


# commands, flags and variables ----------------------------------------------------------------------------------


def verbs(parser: Parser, way: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Parser]]:
    for name, (_, nested) in parser.verbs.known.items() if parser.verbs is not None else ():
        yield (*way, name), nested
        yield from verbs(nested, (*way, name))


EVERY = dict(verbs(full_parser()))
WRITING = [way for way, parser in EVERY.items() if parser.get_default("writes") and way[0] in VERBS]


def test_no_flag_is_a_way_around() -> None:
    flags = {(way, name) for way, parser in EVERY.items() for each in parser.arguments for name in each.option_strings}
    assert len(flags) > 30
    routes = [("route", verb) for verb in ("single", "ab", "canary", "advance")]
    overriding = {(way, "--override-gate") for way in [("promote",), *routes]}
    assert {(way, name) for way, name in flags if HATCH.search(name)} == overriding


def words_for(parser: Parser, prod: Prod, *, everything: bool) -> list[str]:
    """Something for every argument of a verb."""
    words: list[str] = []
    for each in parser.arguments:
        if (
            each.option_strings
            and (each.required or everything)
            # Beside --candidate, the gate refuses every other option: it has a test of its own.
            and each.option_strings[-1] not in ("--expect", "--help", "--help-all", "--candidate", "--fetch")
        ):
            value = {"--semver": "v9.9.9"}.get(each.option_strings[-1], "1" if each.type is not None else "x")
            words += [each.option_strings[-1], *([value] if each.nargs != 0 else [])]
        elif not each.option_strings:
            words.append(prod.entries["good"])
    return words


@pytest.mark.parametrize("way", WRITING, ids=" ".join)
@pytest.mark.parametrize("full", [False, True], ids=["plainly", "with every flag"])
def test_no_command_moves_production_to_what_nobody_signed(
    way: tuple[str, ...], full: bool, prod: Prod, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    twin = prod.copy(tmp_path / "twin")
    monkeypatch.chdir(twin.root)
    with twin.open() as spine:
        before = pointers(spine)
    code = main([*way, *words_for(EVERY[way], twin, everything=full)])
    with twin.open() as spine:
        assert pointers(spine) == before, code


def test_reading_a_request_moves_nothing(
    prod: Prod, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    twin = prod.copy(tmp_path / "twin")
    monkeypatch.chdir(twin.root)
    lines = (f'sha = "{twin.entries["good"]}"', 'semver = "v9.9.9"', 'run_id = "0123abcd"', 'reason = "x"')
    (twin.root / "candidate.toml").write_text("\n".join(lines))
    head = twin.open().ledger.head()
    assert main(["gate", "--candidate", "candidate.toml"]) == 0
    for words in (["--sign"], [twin.entries["good"]], ["--report", "x"], ["--key", "x"]):
        assert main(["gate", "--candidate", "candidate.toml", *words]) == 2
    assert twin.open().ledger.head() == head


def variables() -> list[str]:
    """Every variable of ours: one a setting, and those that the source names."""
    named = {name for file in SOURCES for name in re.findall(r"SPINE_[A-Z_]+[A-Z]", file.read_text(encoding="utf-8"))}
    settings = {f"SPINE_{name.upper()}" for name in Settings.__struct_fields__ if name not in ("root", "origins")}
    return sorted(named | settings)


@pytest.mark.parametrize("value", ["dev", "1"])
def test_no_variable_moves_production_to_what_nobody_signed(
    value: str, prod: Prod, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(variables()) > 12
    monkeypatch.chdir(prod.root)
    with prod.open() as spine:
        before = pointers(spine)
    for name in variables():
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            code = main(["promote", prod.entries["good"], "--semver", "v9.9.9", "--reason", name])
        assert code in (1, 2, 3, 5), name
        with prod.open() as spine:
            assert pointers(spine) == before, name


# the guard ------------------------------------------------------------------------------------------------------


def verified(prod: Prod) -> VerifiedVerdict:
    with prod.open() as spine:
        return Attempt(spine, prod.signed())(prod.entries["good"], spine.registry.state())


def test_a_verified_verdict_is_not_made_copied_stored_or_changed(prod: Prod) -> None:
    real = verified(prod)
    for token in (None, object(), "token"):
        with pytest.raises(TypeError, match=r"only modelspine\.attestation\.verdict\.verify"):
            VerifiedVerdict(real.signed, real.decision, real.floor_sha, token=token)
    for again in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="cannot be copied or stored"):
            again(real)
    with pytest.raises((TypeError, msgspec.MsgspecError)):
        msgspec.convert({"signed": {}, "decision": {}}, VerifiedVerdict)
    with pytest.raises((TypeError, msgspec.MsgspecError)):
        msgspec.json.decode(b"{}", type=VerifiedVerdict)
    with pytest.raises(TypeError):
        msgspec.structs.replace(real)  # type: ignore[type-var]
    with pytest.raises(TypeError, match="no subclasses"):
        type("Mine", (VerifiedVerdict,), {})
    with pytest.raises(AttributeError):
        real.decision = real.decision


def test_a_shell_without_content_is_refused_and_written_down(prod: Prod) -> None:
    with prod.open() as spine:
        before = pointers(spine)
        for made in (object.__new__(VerifiedVerdict), object(), None, prod.signed()):
            with pytest.raises(Refused, match="the verdict was not verified"):
                spine.registry.promote(prod.entries["good"], "v9.9.9", reason="x", verdict=lambda *_, made=made: made)
            assert spine.registry.events()[-1].kind == "denied"
        assert pointers(spine) == before


def test_a_real_one_is_good_for_its_entry_alone(prod: Prod) -> None:
    real = verified(prod)
    with prod.open() as spine, pytest.raises(Refused, match="the verdict is about"):
        spine.registry.promote(prod.entries["other"], "v9.9.9", reason="x", verdict=lambda *_: real)


def test_the_guard_is_against_mistakes_and_not_against_code_in_the_process(prod: Prod, tmp_path: Path) -> None:
    """Said in docs/SECURITY.md: who runs code in a process that may write to the ledger needs no verdict at all."""
    twin = prod.copy(tmp_path / "twin")
    real = verified(twin)
    forged = object.__new__(VerifiedVerdict)
    object.__setattr__(forged, "signed", real.signed)
    object.__setattr__(forged, "decision", real.decision)
    object.__setattr__(forged, "floor_sha", real.floor_sha)
    with twin.open() as spine:
        assert spine.registry.promote(twin.entries["good"], "v9.9.9", reason="x", verdict=lambda *_: forged).created
    assert "No protection against code in the process" in (ROOT / "docs" / "SECURITY.md").read_text(encoding="utf-8")
