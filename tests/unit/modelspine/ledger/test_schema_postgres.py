"""What PostgreSQL can do with a ledger's rows that the chain does not show is named; a lost append is an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from modelspine.errors import Damaged
from modelspine.ledger.store import Draft, Ledger
from modelspine.maintenance.chain import read_chain
from postgres import admin

FAULTS: dict[str, tuple[tuple[str, ...], str]] = {
    "a trigger": (
        ("CREATE TRIGGER q BEFORE INSERT ON events FOR EACH STATEMENT EXECUTE FUNCTION events_refuse()",),
        "the trigger q on events does not belong",
    ),
    "a guard that guards nothing": (
        ("CREATE OR REPLACE FUNCTION events_refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",),
        "the function events_refuse of the guard of events was replaced",
    ),
    "a guard against less": (
        (
            "DROP TRIGGER events_append_only ON events",
            "CREATE TRIGGER events_append_only BEFORE UPDATE ON events EXECUTE FUNCTION events_refuse()",
        ),
        "events_append_only on events is missing or disabled",
    ),
    "a guard that is off": (("ALTER TABLE evidence DISABLE TRIGGER ALL",), "evidence_append_only on evidence is"),
    "a rule": (("CREATE RULE q AS ON INSERT TO evidence DO INSTEAD NOTHING",), "the rule q on evidence"),
    "row security": (
        ("ALTER TABLE events ENABLE ROW LEVEL SECURITY", "CREATE POLICY q ON events USING (seq < 2)"),
        "has row security",
    ),
    "a policy": (("CREATE POLICY q ON events USING (seq < 2)",), "the policy q on events"),
    "a table that inherits": (("CREATE TABLE q () INHERITS (events)",), "the inheriting table q on events"),
    "a constraint": (("ALTER TABLE events ADD CONSTRAINT q CHECK (seq < 9)",), "the constraint q on events"),
    "no unique hash": (("ALTER TABLE events DROP CONSTRAINT events_hash_key",), "nothing keeps hash in events unique"),
    "no key": (("ALTER TABLE events DROP CONSTRAINT events_pkey",), "nothing keeps seq in events unique"),
    "an index": (("CREATE INDEX q ON events (hash)",), "the index q on events"),
    "a table that is not logged": (("ALTER TABLE events SET UNLOGGED",), "events is not logged"),
    "a column": (("ALTER TABLE events ADD COLUMN q text",), "the columns of events are not those"),
    "a default": (("ALTER TABLE events ALTER COLUMN key SET DEFAULT 'q'",), "key of events is filled by the database"),
    "NULL": (("ALTER TABLE events ALTER COLUMN event DROP NOT NULL",), "the columns of events are not those"),
    "a view": (
        ("ALTER TABLE events RENAME TO kept", "CREATE VIEW events AS SELECT * FROM kept"), "events is not a table",
    ),
}  # fmt: skip


@pytest.fixture
def ledger(postgres_url: str) -> Iterator[Ledger]:
    with closing(Ledger(postgres_url, actor="a", create=True)) as made:
        made.append([Draft(kind="opened", body={"env": "dev"})], expected=0)
        yield made


def test_a_ledger_that_was_made_here_has_no_fault(ledger: Ledger) -> None:
    admin(ledger.url, "CREATE TABLE mine (a int)", "CREATE VIEW yours AS SELECT 1")
    assert read_chain(ledger.url).schema == ()


@pytest.mark.parametrize("what", FAULTS)
def test_what_does_not_belong_in_the_database_is_named(ledger: Ledger, what: str) -> None:
    statements, said = FAULTS[what]
    admin(ledger.url, *statements)
    faults = read_chain(ledger.url).schema
    assert any(said in fault for fault in faults), faults


def test_an_append_that_is_removed_at_the_commit_is_an_error(ledger: Ledger) -> None:
    """Read back before the commit, the row is there."""
    admin(
        ledger.url,
        "CREATE FUNCTION quiet() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN "
        "PERFORM set_config('session_replication_role', 'replica', true); "
        "DELETE FROM events WHERE seq = NEW.seq; RETURN NULL; END$$",
        "CREATE CONSTRAINT TRIGGER q AFTER INSERT ON events DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION quiet()",
    )
    with pytest.raises(Damaged, match="did not keep event #2"):
        ledger.append([Draft(kind="noted", body={"text": "x"})], expected=1)
    assert ledger.head().seq == 1
