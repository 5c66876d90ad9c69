"""A ledger reads only what it could have written: each other row is named, changes nothing and hides nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from bundles import write_bundle
from modelspine.cli.run import main
from modelspine.errors import BadInput, Damaged, Refused
from modelspine.ledger.bodies import BODIES, body_fault
from modelspine.ledger.event import GENESIS, Head, read_event
from modelspine.ledger.store import Draft, Ledger
from modelspine.maintenance.chain import read_chain
from modelspine.spine import Spine
from past_spine import append_row, run_sql

A = "a" * 64
ARM = {"name": "stable", "sha": A, "semver": "v1.0.0", "weight_bp": 10_000}
GUARD = {"margin_bp": 200, "error_bp": 100, "latency_pct": 50, "window_seconds": 30, "horizon": 200}
LADDER = {"steps": [[100, 60, 10]], "at": 0, "auto": True, "guard": GUARD}
GOOD: dict[str, dict[str, Any]] = {
    "opened": {"env": "dev"},
    "registered": {"sha": A, "parent": None, "evidence": {"bundle": A}, "corpora": ["x"], "total": [1, 2]},
    "gated": {"sha": A, "result": "pass", "report": A, "baseline": A, "stable": None, "cost_per_quality": {"any": 1}},
    "promoted": {"sha": A, "semver": "v1.0.0-rc.1", "reason": "x", "verdict": {"signed": True, "digest": A}},
    "routed": {"strategy": "single", "sha": A, "arms": [ARM], "reason": "x"},
    "rolled_back": {"strategy": "canary", "sha": A, "arms": [ARM, ARM], "ladder": LADDER, "rollout": 2},
    "held": {"sha": A, "reason": "x"},
    "released": {"sha": A, "reason": "x"},
    "tombstoned": {"sha": A, "reason": "x"},
    "denied": {"verb": "promote", "sha": A, "reason": "x", "semver": "v1.0.0"},
    "drift_reported": {"day": "2026-01-12", "entry": A, "evidence": {"report": A}, "file": "2026-01-12.json",
                       "status": "stable", "n": 3},
    "noted": {"text": "x", "sha": A},
    "claimed": {"model": "tickets-prod", "sha": A, "reason": "so"},
}  # fmt: skip
WRONG: list[tuple[str, dict[str, Any]]] = [
    ("opened", {"env": "staging"}),
    ("registered", {"sha": None}),
    ("registered", {"evidence": {"bundle": "../../etc/passwd"}}),
    ("registered", {"evidence": ["x"]}),
    ("registered", {"total": [1, "2"]}),
    ("registered", {"size": 2**53}),
    ("gated", {"baseline": 5}),
    ("promoted", {"sha": 5}),
    ("promoted", {"semver": "v1\uff10.0.0"}),
    ("promoted", {"semver": "v1.0.0\n"}),
    ("promoted", {"semver": "v01.0.0"}),
    ("promoted", {"verdict": {"signed": "yes"}}),
    ("promoted", {"override": 1}),
    ("routed", {"arms": []}),
    ("routed", {"arms": [ARM, ARM]}),
    ("routed", {"arms": [{**ARM, "weight_bp": -1}]}),
    ("routed", {"arms": [{**ARM, "sha": "zz"}]}),
    ("routed", {"strategy": "all"}),
    ("rolled_back", {"ladder": {**LADDER, "at": 1}}),
    ("rolled_back", {"ladder": {**LADDER, "steps": [[100, 60]]}}),
    ("rolled_back", {"rollout": 9}),
    ("held", {"reason": None}),
    ("released", {"sha": "zz"}),
    ("denied", {"reason": ["x"]}),
    ("drift_reported", {"file": "../ledger.db"}),
    ("drift_reported", {"day": "yesterday"}),
    ("noted", {"text": 5}),
    ("noted", {"clock": "noon"}),
    ("noted", {"key": 5}),
    ("a kind of a later version", {"clock": 5}),
]


def test_every_kind_has_a_good_body() -> None:
    assert GOOD.keys() == BODIES.keys()
    for kind, body in GOOD.items():
        assert body_fault(kind, body, 1 if kind == "opened" else 9) is None, kind
        assert body_fault(kind, {**body, "a field of a later version": [1]}, 1 if kind == "opened" else 9) is None
    assert body_fault("a kind of a later version", {"anything": [1, None]}, 9) is None


@pytest.mark.parametrize(("kind", "wrong"), WRONG)
def test_a_body_that_is_not_one_of_its_kind_is_refused_by_the_writer_and_named_by_the_reader(
    kind: str, wrong: dict[str, Any]
) -> None:
    assert body_fault(kind, GOOD.get(kind, {}) | wrong, 1 if kind == "opened" else 9) is not None
    for field in [name for name in ("sha", "text", "arms", "semver", "env") if name in GOOD.get(kind, {})][:1]:
        assert kind == "noted" or body_fault(kind, {n: v for n, v in GOOD[kind].items() if n != field}, 9)


def test_only_the_first_event_opens_a_ledger() -> None:
    assert body_fault("opened", {"env": "dev"}, 2) is not None
    assert body_fault("unreadable", {"why": "x"}, 2) is not None


NUMBERS = st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)


@given(st.dictionaries(st.text(max_size=6), st.text(max_size=9) | NUMBERS | st.none() | st.booleans(), max_size=4))
def test_the_fast_check_of_canonical_bytes_agrees_with_the_slow_one(body: dict[str, Any]) -> None:
    event = {"seq": 1, "at": "2026-01-01T00:00:00.000000Z", "actor": "a", "host": "h", "kind": "of a later version",
             "body": {**body, "clock": None, "key": None}, "prev": GENESIS}  # fmt: skip
    for raw in (msgspec.json.encode(event, order="sorted"), json.dumps(event, sort_keys=True).encode()):
        try:
            canonical = rfc8785.dumps(json.loads(raw)) == raw
        except rfc8785.CanonicalizationError:
            canonical = False
        found, problem = read_event(raw, "0" * 64, Head(1, GENESIS), "")
        assert problem is None
        assert (found.kind != "unreadable") == canonical, (raw, found)


# one bad row in a ledger -------------------------------------------------------------------------------------------

Write = Callable[[Path], int]


def nest(depth: int) -> bytes:
    return b'{"a":' + b"[" * depth + b"]" * depth + b"}"


BAD: dict[str, tuple[Write, str]] = {
    "a body of another shape": (lambda f: append_row(f, "routed", {"arms": []}), "not that of 'routed'"),
    "a body that is a list": (lambda f: append_row(f, "noted", [1]), "cannot be decoded"),
    "no host": (lambda f: append_row(f, "noted", {"text": "x"}, host=...), "cannot be decoded"),
    "a time that is a number": (lambda f: append_row(f, "noted", {"text": "x"}, at=5), "cannot be decoded"),
    "a time that is none": (lambda f: append_row(f, "noted", {"text": "x"}, at="2026-W01-1T00:00:00.000000Z"), "time"),
    "a time before the last": (
        lambda f: append_row(f, "noted", {"text": "x"}, at="2020-01-01T00:00:00.000000Z"), "is before that",
    ),
    "an unregistered entry": (lambda f: append_row(f, "held", {"sha": A, "reason": "x"}), "does not fit"),
    "spaces": (lambda f: append_row(f, "noted", {"text": "x"}, spell=lambda raw: raw + b" "), "not canonical"),
    "a repeated field": (
        lambda f: append_row(f, "noted", {"text": "x"}, spell=lambda raw: raw[:-1] + b',"kind":"noted"}'),
        "not canonical",
    ),
    "an unknown field": (lambda f: append_row(f, "noted", {"text": "x"}, more=1), "not canonical"),
    "a body over the limit": (lambda f: append_row(f, "later", {"text": "x" * 1200}), "bytes, the limit is 1024"),
    "a text over the limit": (lambda f: append_row(f, "noted", {"text": "x" * 2000}), "the limit is 1024"),
    "bytes that are no text": (
        lambda f: append_row(f, "noted", {"text": "x"}, spell=lambda raw: raw.replace(b'"x"', b'"\xff"')),
        "cannot be decoded",
    ),
    "nothing": (lambda f: append_row(f, "noted", {"text": "x"}, spell=lambda _raw: b""), "names no event before it"),
    "a number": (lambda f: append_row(f, "noted", {"text": "x"}, spell=lambda _raw: b"5"), "names no event before it"),
    "bytes": (lambda f: append_row(f, "noted", {"text": "x"}, spell=lambda _raw: b"\xff\xfe"), "names no event"),
    "a deep nest": (
        lambda f: append_row(f, "later", {}, spell=lambda raw: raw.replace(b"{}", nest(5000))), "cannot be decoded",
    ),
    "a nest of a thousand": (
        lambda f: append_row(f, "later", {}, spell=lambda raw: raw.replace(b"{}", nest(950))), "",
    ),
    "an actor without an end": (lambda f: append_row(f, "noted", {"text": "x"}, actor="a" * 9_999), "over 256 char"),
    "a second opening": (lambda f: append_row(f, "opened", {"env": "dev"}), "only the first event"),
    "the kind of a stand-in": (lambda f: append_row(f, "unreadable", {"why": "x"}), "never stored"),
}  # fmt: skip


@pytest.fixture
def two(spine: Spine, tmp_path: Path) -> Spine:
    """A ledger with two entries that were in production, the second now."""
    for number, semver in ((1, "v0.1.0"), (2, "v0.2.0")):
        sha = spine.registry.register(write_bundle(tmp_path / str(number), number)).sha
        spine.registry.promote(sha, semver)
        spine.routing.single(sha, reason="x")
    return spine


def file_of(spine: Spine) -> Path:
    return Path(spine.settings.ledger.removeprefix("sqlite:///"))


@pytest.mark.parametrize("what", BAD)
def test_a_bad_row_is_named_and_hides_neither_what_is_before_it_nor_a_rollback_after_it(what: str, two: Spine) -> None:
    write, said = BAD[what]
    before = two.registry.state().production
    seq = write(file_of(two))
    chain = read_chain(two.settings.ledger)
    assert not chain.problems
    assert [each.seq for each in chain.unreadable] == [seq]
    assert said in chain.unreadable[0].why
    assert two.registry.state().production == before
    assert [each.seq for each in two.registry.history.unreadable] == [seq]
    assert two.registry.events()[seq - 1].kind == "unreadable"
    receipt = two.routing.rollback("v0.1.0", reason="it misbehaves")
    assert two.registry.state().production == receipt.sha != before
    assert [event.seq for event in two.registry.events()] == list(range(1, seq + 3))
    assert len(read_chain(two.settings.ledger).unreadable) == 1


def test_an_edited_row_stops_neither_listing_nor_a_rollback(two: Spine, capsys: pytest.CaptureFixture[str]) -> None:
    file, root = file_of(two), ["--root", str(two.settings.root)]
    edit = "UPDATE events SET event = replace(event, 'v0.2.0', 'v0.2.1') WHERE seq = 6"
    run_sql(file, "DROP TRIGGER events_no_UPDATE", edit)
    assert main(["list", *root]) == 0
    assert "event #6 cannot be read and changes nothing here" in capsys.readouterr().err
    with pytest.raises(Refused, match="#6 of the ledger cannot be read"):
        two.routing.single("v0.1.0", reason="forward")
    assert two.routing.rollback("v0.1.0", reason="harm").created
    assert main(["verify", *root]) == 5
    assert "event #6 hashes to" in capsys.readouterr().out


@pytest.mark.parametrize("who", ["caf\udce9", "x" * 100_000])
def test_no_name_of_this_machine_blocks_a_rollback(two: Spine, who: str) -> None:
    two.ledger.actor = who
    receipt = two.routing.rollback("v0.1.0", reason="harm")
    assert receipt.event.actor == who.replace("\udce9", "?")[:256]
    assert not read_chain(two.settings.ledger).unreadable


def test_nothing_is_put_forward_while_a_row_cannot_be_read(two: Spine, tmp_path: Path) -> None:
    """The row that nobody can read may be a hold or a tombstone."""
    sha = two.registry.register(write_bundle(tmp_path / "3", 3)).sha
    two.routing.canary("v0.1.0", reason="x", weight_bp=100)
    append_row(file_of(two), "held", {"sha": A, "reason": "x"})
    for forward in (
        lambda: two.registry.promote(sha, "v0.3.0"),
        lambda: two.routing.weigh(200, reason="x"),
        lambda: two.routing.advance(reason="x"),
        lambda: two.routing.single("v0.1.0", reason="x"),
    ):
        with pytest.raises(Refused, match="cannot be read"):
            forward()
    assert two.registry.events()[-1].kind == "denied"
    two.registry.note("seen")
    two.routing.abort(reason="x")
    assert two.registry.state().route.strategy == "single"  # type: ignore[union-attr]


def test_the_environment_of_an_unreadable_first_event_is_the_strict_one(tmp_path: Path) -> None:
    file = tmp_path / "l.db"
    Ledger(f"sqlite:///{file}", actor="a", create=True).append(
        [Draft(kind="opened", body={"env": "dev"})], expected=None
    )
    from modelspine.ledger.replay import replay

    events = Ledger(f"sqlite:///{file}", actor="a").events()
    assert replay(events).state.env == "dev"
    fault = msgspec.structs.replace(events[0], kind="unreadable")
    assert replay([fault]).state.env == "prod"


def test_a_row_that_names_another_one_before_it_breaks_the_chain(two: Spine) -> None:
    append_row(file_of(two), "noted", {"text": "x"}, prev="0" * 64)
    assert [problem for problem in read_chain(two.settings.ledger).problems if "#8" in problem]
    with pytest.raises(Damaged, match="event #8 does not follow"):
        two.registry.state()


def test_a_row_of_bytes_that_are_no_text_stops_neither_verify_nor_an_append(two: Spine) -> None:
    file = file_of(two)
    run_sql(file, "INSERT INTO events VALUES (99, CAST(x'ff00' AS TEXT), CAST(x'fffe' AS TEXT), NULL)")
    chain = read_chain(two.settings.ledger)
    assert [problem for problem in chain.problems if "#99" in problem]
    assert len(chain.events) == 7
    with pytest.raises(Damaged, match="event #8 is missing"):
        two.registry.state()


# what the database does with a row ----------------------------------------------------------------------------------

DROPS = {
    "dropped": "BEFORE INSERT ON events BEGIN SELECT RAISE(IGNORE); END",
    "dropped by kind": "BEFORE INSERT ON events WHEN NEW.event LIKE '%noted%' BEGIN SELECT RAISE(IGNORE); END",
    "changed": "AFTER INSERT ON events BEGIN UPDATE events SET key = 'other' WHERE seq = NEW.seq; END",
    "removed": "AFTER INSERT ON events BEGIN DELETE FROM events WHERE seq = NEW.seq; END",
    "refused": "BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'no'); END",
}


@pytest.mark.parametrize("what", DROPS)
def test_an_append_that_the_database_does_not_keep_is_an_error_and_the_trigger_is_named(what: str, two: Spine) -> None:
    file, before = file_of(two), two.ledger.head()
    run_sql(
        file, "DROP TRIGGER events_no_UPDATE", "DROP TRIGGER events_no_DELETE", f"CREATE TRIGGER quiet {DROPS[what]}"
    )
    with pytest.raises(Damaged, match=r"did not keep event #8|refused a row"):
        two.registry.note("write this down")
    assert two.ledger.head() == before
    faults = read_chain(two.settings.ledger).schema
    assert any("trigger quiet on events does not belong" in fault for fault in faults)
    assert sum("is missing" in fault for fault in faults) == 2


def test_evidence_that_the_database_does_not_keep_is_an_error(two: Spine) -> None:
    run_sql(file_of(two), "CREATE TRIGGER quiet BEFORE INSERT ON evidence BEGIN SELECT RAISE(IGNORE); END")
    with pytest.raises(Damaged, match="did not keep evidence"):
        two.ledger.put(b"{}")


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        (("CREATE VIEW quiet AS SELECT 1",), "the view quiet"),
        (("CREATE UNIQUE INDEX quiet ON events (substr(event, 3, 64), hash)",), "the index quiet"),
        (("DROP TRIGGER evidence_no_DELETE",), "evidence_no_DELETE is missing"),
        (
            ("DROP TRIGGER events_no_UPDATE",
             "CREATE TRIGGER events_no_UPDATE BEFORE UPDATE ON events BEGIN SELECT 1; END"),
            "events_no_UPDATE is not the one",
        ),
        (("CREATE TRIGGER q AFTER INSERT ON evidence BEGIN SELECT 1; END",), "the trigger q"),
        (
            ("ALTER TABLE events RENAME TO kept", "CREATE VIEW events AS SELECT * FROM kept"),
            "the table events is missing",
        ),
    ],
)  # fmt: skip
def test_what_does_not_belong_in_the_database_is_named(two: Spine, statements: tuple[str, ...], said: str) -> None:
    assert not read_chain(two.settings.ledger).schema
    run_sql(file_of(two), *statements)
    assert any(said in fault for fault in read_chain(two.settings.ledger).schema)


def test_other_tables_in_the_same_file_are_nobodys_business(two: Spine) -> None:
    run_sql(file_of(two), "CREATE TABLE mine (a)", "CREATE INDEX by_a ON mine (a)", "ANALYZE")
    assert not read_chain(two.settings.ledger).schema


def test_a_draft_that_no_reader_would_accept_is_not_written(two: Spine) -> None:
    with pytest.raises(BadInput, match="would not be readable"):
        two.ledger.append([Draft(kind="held", body={"sha": "zz", "reason": "x"})], expected=None)
