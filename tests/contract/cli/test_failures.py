"""What every verb does with bad input, missing, damaged or forbidden stores, and a reader that goes away."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from cli_world import REQUEST, World, check_refused, make_world, run
from miniobserve.sql.protocol import StorageError
from modelspine.cli.errors import as_spine_error
from modelspine.cli.verbs import VERBS
from modelspine.errors import Refused
from modelspine.spine import open_spine

Capture = pytest.CaptureFixture[str]

WHY = ("--reason", "because")
ON_A_REF = [
    ["show", "REF"], ["show", "REF", "--at", "2026-11-22"], ["diff", "REF", "production"],
    ["diff", "production", "REF"],
    ["gate", "REF"], ["baseline", "new", "REF", *WHY],
    ["promote", "REF", "--semver", "v9.9.9", *WHY], ["route", "single", "REF", *WHY], ["tombstone", "REF", *WHY],
    ["route", "ab", "REF", *WHY], ["route", "shadow", "REF", *WHY], ["route", "canary", "REF", *WHY],
    ["rollback", "REF", *WHY], ["release", "REF", *WHY],
    ["note", "text", "--ref", "REF"], ["lineage", "REF"], ["lineage", "REF", "--verify"],
    ["corpus", "grep", "REF", "x"], ["drift", "report", "--against", "REF"],
    ["history", "--ref", "REF"], ["traces", "list", "--ref", "REF"],
]  # fmt: skip
ON_A_LEDGER = [
    ["assign", "customer-1"],
    ["list"], ["show", "production"], ["show", "abcdef"], ["diff", "v0.1.0", "v0.2.0"], ["register", "made/1"],
    ["promote", "v0.1.0", "--semver", "v9.9.9", *WHY], ["route", "show"], ["route", "single", "v0.2.0", *WHY],
    ["route", "ab", "v0.2.0", *WHY], ["route", "shadow", "v0.2.0", *WHY], ["route", "canary", "v0.2.0", *WHY],
    ["route", "advance", "--weight", "100", *WHY], ["route", "advance", *WHY], ["route", "abort", *WHY],
    ["route", "report"], ["gate", "v0.2.0"], ["rollback", "v0.2.0", *WHY], ["release", "v0.2.0", *WHY],
    ["baseline", "new", "v0.2.0", *WHY],
    ["tombstone", "v0.2.0", *WHY], ["note", "x"], ["lineage", "production"], ["impact", "abcdef"],
    ["corpus", "grep", "production", "x"], ["history"], ["incident", REQUEST], ["verify"],
    ["backup", "kept.tar"], ["drift", "report"], ["drift", "show"], ["cost"],
]  # fmt: skip
ON_TRACES = [
    ["traces", "list"], ["traces", "show", REQUEST], ["incident", REQUEST], ["route", "report"],
    ["drift", "report"], ["cost"], ["traces", "export"],
]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("cli") / "project")


@pytest.fixture
def world(made: World, tmp_path: Path, echo: None, monkeypatch: pytest.MonkeyPatch) -> World:
    """A copy to break."""
    root = tmp_path / "copy"
    shutil.copytree(made.root, root)
    monkeypatch.chdir(root)
    return made._replace(root=root)


def ledger(world: World) -> Path:
    return world.root / ".spine" / "ledger.db"


def zeroed(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flipped(file: Path) -> None:
    """One bit of one event's text."""
    raw = bytearray(file.read_bytes())
    at = raw.index(b'the first"')
    raw[at] ^= 1
    file.write_bytes(raw)


DAMAGES = [zeroed, emptied, cut]


# bad input ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ref", ["nosuch", "", "f" * 20, "v0.0.7"])
def test_a_wrong_ref(world: World, capsys: Capture, ref: str) -> None:
    before = ledger(world).read_bytes()
    for words in ON_A_REF:
        check_refused(run(capsys, *[ref if word == "REF" else word for word in words]), 2)
    assert ledger(world).read_bytes() == before


BAD_INPUT = [
    ["nosuch"], ["show"], ["list", "more"], ["list", "--nosuch"], ["list", "--at"], ["route"], ["corpus"], ["traces"],
    ["promote", "v0.1.0", "--semver", "v1.0.0"], ["promote", "v0.1.0", *WHY], ["route", "single", "v0.2.0"],
    ["tombstone", "v0.2.0"], ["promote", "v0.1.0", "--semver", "1.0", *WHY], ["history", "--limit", "-1"],
    ["history", "--limit", "many"], ["traces", "list", "--outcome", "bad"], ["traces", "list", "--feature", "verb"],
    ["traces", "export", "--day", "9999-01-01"],
    ["traces", "list", "--day", "2026-13-01"], ["verify", "--checkpoint", "7"], ["route", "show", "--at", "25:00"],
    ["note", " "], ["sha", "nosuch"], ["sha", "spine.toml"], ["sha", "."], ["show", "spine.toml"],
    ["register", "no/such/folder"], ["register", "."], ["impact", "nosuch"], ["incident", "req-nobody"],
    ["traces", "show", "nobody"], ["init", "--env", "test"], ["init", "--env", "prod"], ["list", "--root", "nosuch"],
    ["backup"], ["backup", "no/such/kept.tar"], ["backup", "spine.toml"], ["backup", "x", "--without", "ledger"],
    ["restore", "nosuch.tar"], ["restore", "nosuch.tar", "--into", "new"], ["restore", "spine.toml", "--into", "new"],
    ["route", "ab", "v0.2.0", "--weight", "0", *WHY], ["route", "ab", "v0.2.0", "--weight", "10000", *WHY],
    ["route", "shadow", "v0.2.0", "--share", "10001", *WHY], ["route", "canary", "v0.2.0", "--weight", "many", *WHY],
    ["route", "canary", "v0.2.0", "--steps", "nosuch.toml", *WHY], ["route", "canary", "v0.2.0"],
    ["route", "canary", "v0.2.0", "--steps", "spine.toml", *WHY], ["route", "advance", "--weight", "10001", *WHY],
    ["route", "advance", "--weight", "100"], ["route", "advance"], ["route", "abort"],
    ["route", "abort", "--reason", " "], ["route", "report", "--epoch", "1"], ["route", "report", "--epoch", "99"],
    ["cost", "--day", "tomorrow"], ["cost", "--traces", "nosuch"], ["cost", "--traces", "spine.toml"],
    ["drift"], ["drift", "report", "--day", "2026-13-01"], ["drift", "report", "--day", "2001-01-01"],
    ["drift", "show", "--day", "2001-01-01"], ["drift", "show", "--weeks", "-1"],
    ["completion", "tcsh"], ["nosuch", "--help"], ["route", "nosuch", "--help"], ["list", "--js"], ["--no-color"],
    ["evaluate"], ["evaluate", "v0.1.0"], ["evaluate", "--twice"], ["gate"], ["gate", "--fetch", "new"],
    ["gate", "--candidate", "candidate.toml"], ["gate", "v0.1.0", "--candidate", "candidate.toml"],
    ["gate", "--candidate", "candidate.toml", "--sign"], ["whois", "v0.1.0"], ["help"], ["candidate"],
    ["route", "weight", *WHY], ["verify", "--keep"], ["verify", "--witness", "nosuch"],
    ["gate", "v0.1.0", "--report", "x"], ["baseline"], ["baseline", "new", "v0.1.0"], ["eval", "import"],
    ["baseline", "new", "v0.1.0", "--reason", " "], ["baseline", "new", "v0.1.0", "--report", "nosuch", *WHY],
    ["eval", "import", "nosuch"], ["evaluate", "import", "spine.toml"], ["eval", "import", ".", "--format", "csv"],
]  # fmt: skip


def test_bad_input(world: World, capsys: Capture) -> None:
    before = ledger(world).read_bytes()
    for words in BAD_INPUT:
        check_refused(run(capsys, *words), 2)
    assert ledger(world).read_bytes() == before


def test_json_says_what_stderr_says(world: World, capsys: Capture) -> None:
    for words, kind in ((["show", "nosuch", "--json"], "unknown_ref"), (["--json", "lst"], "bad_input")):
        done = run(capsys, *words)
        error = done.json["error"]
        assert (done.code, error["code"], error["kind"]) == (2, 2, kind)
        assert done.err == f"spine: {error['message']}\n  {error['hint']}\n"


# missing --------------------------------------------------------------------------------------------


def test_no_state_directory(world: World, capsys: Capture) -> None:
    shutil.rmtree(world.root / ".spine")
    for words in [*ON_A_LEDGER, *ON_TRACES]:
        done = run(capsys, *words)
        check_refused(done, 3)
        assert "spine init" in done.err
        assert not ledger(world).exists()


def test_no_trace_store(world: World, capsys: Capture) -> None:
    (world.root / ".spine" / "traces.db").unlink()
    for words in ON_TRACES:
        check_refused(run(capsys, *words), 3)


def test_impact_names_entries_without_a_trace_store(world: World, capsys: Capture) -> None:
    (world.root / ".spine" / "traces.db").unlink()
    corpus = run(capsys, "lineage", "v0.1.0", "--json").json["corpus_dvc_hash"]
    assert [e["days"] for e in run(capsys, "impact", corpus, "--json").json["entries"]] == [[], []]


def test_no_mlflow_store(world: World, capsys: Capture) -> None:
    check_refused(run(capsys, "register", "0123456789abcdef0123456789abcdef"), 3)
    assert not (world.root / ".spine" / "mlflow.db").exists()


# damaged --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_ledger(world: World, capsys: Capture, damage: Callable[[Path], None]) -> None:
    damage(ledger(world))
    broken = ledger(world).read_bytes()
    for words in ON_A_LEDGER:
        check_refused(run(capsys, *words), 5)
        assert ledger(world).read_bytes() == broken, words


def test_one_flipped_bit_is_named_by_every_command_and_promotes_nothing(world: World, capsys: Capture) -> None:
    """An event that was changed where it stands must not keep anybody from listing or rolling back."""
    flipped(ledger(world))
    named = "event #5 cannot be read and changes nothing here: its bytes do not match its stored hash"
    for words in (["list"], ["show", "production"], ["route", "show"], ["history"]):
        done = run(capsys, *words)
        assert (done.code, named in done.err) == (0, True), words
    verified = run(capsys, "verify")
    assert (verified.code, "event #5 hashes to" in verified.out) == (5, True)
    refused = run(capsys, "promote", world.loud, "--semver", "v9.0.0", *WHY)
    assert (refused.code, "#5 of the ledger cannot be read" in refused.err) == (1, True)


@pytest.mark.parametrize("damage", DAMAGES)
def test_init_never_makes_a_damaged_ledger_anew(world: World, capsys: Capture, damage: Callable[[Path], None]) -> None:
    damage(ledger(world))
    broken = ledger(world).read_bytes()
    check_refused(run(capsys, "init"), 5)
    assert ledger(world).read_bytes() == broken


def test_init_never_makes_a_deleted_ledger_anew(world: World, capsys: Capture) -> None:
    ledger(world).unlink()
    check_refused(run(capsys, "init"), 5)
    assert not ledger(world).exists()


@pytest.mark.parametrize("damage", [zeroed, emptied, cut])
def test_a_damaged_trace_store(world: World, capsys: Capture, damage: Callable[[Path], None]) -> None:
    damage(world.root / ".spine" / "traces.db")
    for words in ON_TRACES:
        check_refused(run(capsys, *words), 5)


@pytest.mark.parametrize("damage", DAMAGES)
def test_info_shows_a_damaged_ledger(world: World, capsys: Capture, damage: Callable[[Path], None]) -> None:
    damage(ledger(world))
    done = run(capsys, "info", "--json")
    assert done.code == 0
    assert done.json["stores"]["ledger"]["state"] == "unusable"


def test_a_damaged_bundle_cannot_be_routed_to(world: World, capsys: Capture) -> None:
    weights = world.root / ".spine" / "cache" / world.loud / "model.safetensors"
    weights.chmod(0o644)
    raw = bytearray(weights.read_bytes())
    raw[-1] ^= 1
    weights.write_bytes(raw)
    check_refused(run(capsys, "route", "single", "v0.2.0", *WHY), 5)
    done = run(capsys, "verify")
    assert (done.code, done.err) == (5, "")
    assert f"v0.2.0 {world.loud[:12]}" in done.out
    assert run(capsys, "route", "show", "--json").json["arms"][0]["sha"] == world.silent


def test_a_tampered_corpus(world: World, capsys: Capture) -> None:
    file = world.root / "data" / "v1.jsonl"
    file.write_text(file.read_text().replace("row 7", "ROW 7"))
    check_refused(run(capsys, "corpus", "grep", "v0.1.0", "row"), 5)
    done = run(capsys, "lineage", "v0.1.0", "--verify")
    assert done.code == 5
    assert "✖ mismatch  corpus" in done.out
    assert len(done.err.splitlines()) == 2


# forbidden ------------------------------------------------------------------------------------------


def test_a_folder_stands_where_the_ledger_should(world: World, capsys: Capture) -> None:
    ledger(world).unlink()
    ledger(world).mkdir()
    for words in ON_A_LEDGER:
        check_refused(run(capsys, *words), 3)


def test_a_file_stands_where_the_state_should(world: World, capsys: Capture) -> None:
    shutil.rmtree(world.root / ".spine")
    (world.root / ".spine").write_text("mine")
    for words in (["init"], ["list"], ["verify"]):
        check_refused(run(capsys, *words), 3)
    assert (world.root / ".spine").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is denied to root")
def test_no_permission(world: World, capsys: Capture) -> None:
    ledger(world).chmod(0)
    check_refused(run(capsys, "list"), 3)


def test_the_page_cannot_be_written(world: World, capsys: Capture) -> None:
    check_refused(run(capsys, "incident", REQUEST, "--md", "no/such/folder/walk.md"), 3)


def test_a_locked_ledger(world: World, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("miniobserve.sql.protocol.BUSY_SECONDS", 0.05)
    holder = sqlite3.connect(ledger(world), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        done = run(capsys, "note", "x")
        check_refused(done, 3)
        assert "another process" in done.err
        assert run(capsys, "list").code == 0
    finally:
        holder.close()


# verify names each problem --------------------------------------------------------------------------


def rewrite(file: Path, *statements: str) -> None:
    """What somebody with the file in hands could do, who puts the guards back afterwards."""
    with sqlite3.connect(file) as database:
        guards = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        assert len(guards) == 4
        for name, _sql in guards:
            database.execute(f"DROP TRIGGER {name}")
        for statement in (*statements, *(sql for _name, sql in guards)):
            database.execute(statement)
    database.close()


@pytest.mark.parametrize(
    ("statements", "told"),
    [
        (["DELETE FROM events WHERE seq = 3"], ["event #3 is missing"]),
        (["DELETE FROM events WHERE seq IN (3, 4)"], ["events #3–#4 are missing"]),
        (["UPDATE events SET event = replace(event, 'the first\"', 'a lie\"')"], ["event #5 hashes to"]),
        (["UPDATE events SET event = replace(event, 'host', 'hose')"], [f"event #{n} hashes to" for n in range(1, 8)]),
        (
            [f"UPDATE events SET seq = {to} WHERE seq = {of}" for of, to in ((3, -3), (4, 3), (-3, 4))],
            ["event #3 has the seq 4 in its body", "event #4 has the seq 3 in its body"],
        ),
        (["UPDATE events SET key = 'mine' WHERE seq = 2"], ["a different idempotency key"]),
        (["UPDATE evidence SET body = body || ' '"], ["hashes to"]),
        (["DELETE FROM evidence"], ["event #2 names evidence", "event #5 names evidence"]),
    ],
)  # fmt: skip
def test_verify_names_what_was_changed(world: World, capsys: Capture, statements: list[str], told: list[str]) -> None:
    rewrite(ledger(world), *statements)
    done = run(capsys, "verify")
    assert done.code == 5
    for part in told:
        assert part in done.out
    report = run(capsys, "verify", "--json")
    assert (report.code, report.json["ok"]) == (5, False)


def test_a_cut_tail_is_seen_by_the_mark_and_by_a_checkpoint(world: World, capsys: Capture) -> None:
    head = run(capsys, "verify", "--json").json["checkpoint"]
    rewrite(ledger(world), "DELETE FROM events WHERE seq = 7")
    assert "event #7 is not in the ledger" in run(capsys, "verify").out
    ledger(world).with_name("ledger.mark").unlink()
    assert run(capsys, "verify").code == 0
    done = run(capsys, "verify", "--checkpoint", head)
    assert done.code == 5
    assert "the ledger was truncated" in done.out


def test_a_rewritten_chain_is_seen_by_a_checkpoint_alone(world: World, capsys: Capture) -> None:
    """Somebody forges the last event, its hash included: the chain holds, the checkpoint does not."""
    import hashlib

    seq, head = run(capsys, "verify", "--json").json["checkpoint"].split(":")
    with sqlite3.connect(ledger(world)) as database:
        (text,) = database.execute("SELECT event FROM events WHERE seq = 7").fetchone()
    database.close()
    forged = text.replace("better", "forged")
    rewrite(
        ledger(world),
        f"UPDATE events SET event = '{forged}', hash = '{hashlib.sha256(forged.encode()).hexdigest()}' WHERE seq = 7",
    )
    ledger(world).with_name("ledger.mark").unlink()
    assert run(capsys, "verify").code == 0
    done = run(capsys, "verify", "--checkpoint", f"{seq}:{head}")
    assert done.code == 5
    assert "the chain was rewritten" in done.out


def test_a_forged_pointer_is_named(world: World, capsys: Capture) -> None:
    """A well-chained event that routes to an entry which was never promoted."""
    from modelspine.ledger.store import Draft

    arm = {"name": "stable", "sha": world.child, "semver": "v0.1.0", "weight_bp": 9_000}
    body = {"strategy": "single", "sha": world.child, "arms": [arm], "reason": "x"}
    with open_spine(world.root) as spine:
        spine.ledger.append([Draft(kind="routed", body=body)], expected=None)
        route = spine.registry.route()
        assert route is not None
        with pytest.raises(Refused, match="never promoted"):
            spine.registry.may_answer(route.stable.sha, route.stable.semver)
        spine.registry.may_answer(world.silent, "v0.1.0")
        with pytest.raises(Refused, match=r"never promoted as v6\.6\.6"):
            spine.registry.may_answer(world.silent, "v6.6.6")
    done = run(capsys, "verify")
    assert done.code == 5
    for part in ("was never promoted", "may not answer", "do not add up"):
        assert part in done.out


def test_events_that_add_up_to_nothing_are_named(world: World, capsys: Capture) -> None:
    from modelspine.ledger.store import Draft

    with open_spine(world.root) as spine:
        spine.ledger.append([Draft(kind="promoted", body={"sha": "f" * 64, "semver": "v1.0.0"})], expected=None)
    done = run(capsys, "verify")
    assert done.code == 5
    assert "event #8 cannot be read: it does not fit the events before it" in done.out


@pytest.mark.parametrize(("entry", "code"), [("loud", 5), ("child", 0)])
def test_a_bundle_that_left_the_cache(world: World, capsys: Capture, entry: str, code: int) -> None:
    shutil.rmtree(world.root / ".spine" / "cache" / getattr(world, entry))
    done = run(capsys, "verify")
    assert done.code == code
    assert "has no bundle in the cache" in done.out


# the process ----------------------------------------------------------------------------------------


def test_what_nobody_foresaw_is_two_lines(world: World, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def boom(*_: object, **__: object) -> None:
        raise ZeroDivisionError("\x1b[31mno")

    monkeypatch.setattr("modelspine.registry.registry.Registry.list", boom)
    done = run(capsys, "list")
    check_refused(done, 3)
    assert "ZeroDivisionError" in done.err
    assert "\x1b" not in done.err
    monkeypatch.setenv("SPINE_DEBUG", "1")
    assert "Traceback" in run(capsys, "list").err


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (KeyboardInterrupt(), 130),
        (PermissionError(13, "Permission denied", "/x"), 3),
        (MemoryError(), 3),
        (StorageError("damaged", "a", "b"), 5),
        (StorageError("unavailable", "a", "b"), 3),
        (StorageError("conflict", "a", "b"), 4),
    ],
    ids=repr,
)
def test_every_exception_has_its_code(
    world: World, capsys: Capture, monkeypatch: pytest.MonkeyPatch, raised: BaseException, code: int
) -> None:
    def boom(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr("modelspine.registry.registry.Registry.list", boom)
    check_refused(run(capsys, "list"), code)


def test_errors_map_to_themselves() -> None:
    error = as_spine_error(ValueError("x"))
    assert as_spine_error(error) is error


def test_a_broken_setting(world: World, capsys: Capture) -> None:
    (world.root / "spine.toml").write_text("nosuch = 1\n")
    for verb in ("list", "info", "init"):
        check_refused(run(capsys, verb), 2)
    (world.root / "spine.toml").write_text("[")
    check_refused(run(capsys, "list"), 2)


def test_a_database_nobody_can_drive(world: World, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPINE_LEDGER", "mysql://somewhere/else")
    for words in (["list"], ["verify"], ["init"]):
        check_refused(run(capsys, *words), 3)
    assert run(capsys, "info").code == 0


def test_every_reading_verb_has_a_case_here() -> None:
    tried = {words[0] for words in [*ON_A_LEDGER, *ON_A_REF, *ON_TRACES]}
    untried = {"init", "info", "keys", "sha", "restore", "completion", "evaluate", "workload"}
    untried |= {"migrate", "labels"}  # they have tests of their own
    assert set(VERBS) - tried == untried


def test_keys_new_overwrites_nothing(world: World, capsys: Capture) -> None:
    made = run(capsys, "keys", "new", "--out", "mine.pem")
    assert made.code == 0
    before = (world.root / "mine.pem").read_bytes()
    check_refused(run(capsys, "keys", "new", "--out", "mine.pem"), 2)
    assert (world.root / "mine.pem").read_bytes() == before
    (world.root / "spine.trust.json").write_text("[]")
    check_refused(run(capsys, "keys", "new"), 1)
    assert (world.root / "spine.trust.json").read_text() == "[]"
