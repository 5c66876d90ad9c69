"""Verification of the ledger, its evidence and the cached bundles against their recorded digests.

The hash chain is read directly from the table, so that verification continues after a broken row and finds every one.
It prints nothing, repairs nothing and writes nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from miniobserve.sql.open import connect
from modelspine.errors import BadInput, Damaged, Refused, SpineError, Unavailable
from modelspine.identity.bundle import Bundle
from modelspine.identity.bundle_cache import Cache
from modelspine.ledger.state import Known, State, fold
from modelspine.ledger.store import GENESIS, Event, Head, Ledger, storage_errors
from modelspine.maintenance.verify_rules import MOVES, breaches
from modelspine.registry.entries import EVIDENCE
from modelspine.registry.rules import may_answer
from modelspine.text import short, visible

Progress = Callable[[str, int, int], None]
"""Called with what is being checked, how many are done, and how many there are."""

_CHECKPOINT = re.compile(r"(\d{1,12}):([0-9a-f]{64})", re.ASCII)
_MOST = 20
"""Most problems that SQLite's integrity check reports."""
_FOR_EXAMPLE = "give it as `spine verify` printed it: SEQ:HASH, with all 64 digits of the hash"


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one check."""

    name: str
    checked: int
    """How many items were looked at."""
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """Remarks on what is no problem."""
    not_checked: tuple[str, ...] = ()
    """What could not be looked at, each with its reason. It may be sound or not."""
    required: bool = False
    """True where the other checks mean nothing as long as something of this one is not checked."""


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """The readable events of a ledger, its head, and the problems of its rows."""

    events: tuple[Event, ...]
    head: Head
    problems: tuple[str, ...]


def parse_checkpoint(text: str) -> Head:
    """Parse a ledger head that was recorded outside the ledger.

    Raises:
        BadInput: it is not ``SEQ:HASH``.
    """
    match = _CHECKPOINT.fullmatch(text)
    if match is None:
        raise BadInput(f"{visible(text, 90)!r} is not a checkpoint", _FOR_EXAMPLE)
    return Head(int(match[1]), match[2])


def read_witness(file: Path, *, absent: bool = False) -> list[Head]:
    """Read the heads in a witness file, one per line; with ``absent`` a missing file is an empty one.

    Raises:
        BadInput: it cannot be read, or a line is not ``SEQ:HASH``.
    """
    try:
        text = file.read_text(encoding="ascii")
    except FileNotFoundError as error:
        if absent:
            return []
        raise BadInput(
            f"there is no witness at {visible(str(file), 120)}", "create one: `spine verify --witness F --keep`"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"the witness {visible(str(file), 120)} cannot be read", "restore the committed file") from error
    return [parse_checkpoint(line) for line in text.split()]


def verify(
    ledger: Ledger,
    cache: Cache,
    chain: Chain,
    *,
    checkpoints: Sequence[Head] | None = None,
    more: Sequence[Callable[[State, Progress], Check | None]] = (),
    progress: Progress,
) -> Iterator[Check]:
    """Run all checks, yielding the result of each when it is done.

    Args:
        ledger: the ledger, for its evidence.
        cache: the bundle cache.
        chain: the ledger's rows, as ``read_chain`` returns them.
        checkpoints: heads recorded outside the ledger; None skips their check.
        more: checks of the stores beside the ledger; None of one that does not apply.
        progress: called with the progress.

    Raises:
        Unavailable, Damaged: the ledger cannot be read at all.
    """
    yield Check(name="chain", checked=len(chain.events), problems=chain.problems)
    if checkpoints is not None:
        problems = tuple(problem for point in checkpoints if (problem := _against(chain, point)))
        notes = () if checkpoints else ("no checkpoint is recorded yet; the chain was not compared with one",)
        yield Check(name="checkpoints", checked=len(checkpoints), problems=problems, notes=notes)
    yield _evidence(ledger, chain.events, progress)
    try:
        state = fold(chain.events)
    except Exception as error:  # noqa: BLE001  (hand-made events can break the fold in any way; that is the finding)
        reason = visible(f"{type(error).__name__}: {error}", 120)
        yield Check(name="state", checked=0, problems=(f"the events do not give a valid state: {reason}",))
        return
    yield _bundles(state, cache, progress)
    yield _pointers(chain.events)
    for step in () if chain.problems else more:  # these use the registry, which refuses a broken chain
        check = step(state, progress)
        if check is not None:
            yield check


def read_chain(url: str) -> Chain:
    """Read every row of the ledger, checking each by itself and against the row before.

    Raises:
        Unavailable, Damaged: the database cannot be read at all.
    """
    events: list[Event] = []
    problems: list[str] = []
    seq, prev = 0, GENESIS
    with storage_errors():
        database = connect(url, readonly=True)
        try:
            rows = database.read("SELECT seq, event, hash, key FROM events ORDER BY seq")
            # With intact rows but a damaged index, looking up a key or a digest would silently find nothing.
            findings = database.read(f"PRAGMA integrity_check({_MOST})") if url.startswith("sqlite:") else []
        finally:
            database.close()
    problems += [f"the database: {visible(str(line), 160)}" for (line,) in findings if line != "ok"]
    for stored, text, digest, key in rows:
        missing = range(seq + 1, stored)
        problems += [f"event #{missing.start} is missing"] if len(missing) == 1 else []
        problems += [f"events #{missing.start}–#{missing.stop - 1} are missing"] if len(missing) > 1 else []
        event, problem = _row(stored, text, digest, key, prev if not missing else None)
        problems += [problem] if problem else []
        events += [event] if event else []
        seq, prev = stored, str(digest)
    return Chain(events=tuple(events), head=Head(seq, prev), problems=tuple(problems))


def _row(seq: Any, text: Any, digest: Any, key: Any, prev: str | None) -> tuple[Event | None, str | None]:
    """Read one row as its event and its problem, if any; ``prev`` is None where the row before is missing."""
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else bytes(text or b"")
    found = hashlib.sha256(raw).hexdigest()
    if found != digest:
        return None, f"event #{seq} hashes to {found[:12]}, but its recorded hash is {visible(str(digest)[:12])}"
    try:
        event = msgspec.structs.replace(msgspec.json.decode(raw, type=Event), hash=str(digest))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return None, f"event #{seq} cannot be read: {visible(str(error), 120)}"
    if event.seq != seq:
        return event, f"event #{seq} has the seq {event.seq} in its body"
    if prev is not None and event.prev != prev:
        return event, f"event #{seq} names {event.prev[:12]} as the event before it, but that is {prev[:12]}"
    if event.body.get("key") != key:
        return event, f"event #{seq} is stored under a different idempotency key from the one in its body"
    return event, None


def _against(chain: Chain, point: Head) -> str | None:
    """The contradiction between a checkpoint and the chain; None where they agree."""
    if point.seq == 0 or point.seq > chain.head.seq:
        return (
            f"checkpoint #{point.seq} is not in the ledger, whose newest event is #{chain.head.seq}: "
            "the ledger was truncated"
        )
    event = next((e for e in chain.events if e.seq == point.seq), None)
    if event is None or event.hash != point.hash:
        now = event.hash[:12] if event else "unreadable"
        return f"event #{point.seq} is {now}, but the checkpoint says {point.hash[:12]}: the chain was rewritten"
    return None


def _evidence(ledger: Ledger, events: Sequence[Event], progress: Progress) -> Check:
    named = {digest: event.seq for event in events for digest in _evidence_of(event)}
    stored = ledger.evidence_digests()
    present = set(stored)
    problems = [
        f"event #{seq} names evidence {visible(digest[:12])}, which is missing"
        for digest, seq in sorted(named.items(), key=lambda item: item[1])
        if digest not in present
    ]
    for number, digest in enumerate(stored, 1):
        try:
            ledger.get(digest)
        except Damaged as error:
            problems.append(error.message)
        progress("evidence", number, len(stored))
    return Check(name="evidence", checked=len(stored), problems=tuple(problems))


def _evidence_of(event: Event) -> Iterator[str]:
    """The digests of the evidence that an event names."""
    # A verdict also has a key id and flags; only these two of its fields are digests of evidence.
    for field, only in (("evidence", None), ("verdict", ("report", "digest"))):
        table = event.body.get(field)
        for name, digest in table.items() if isinstance(table, dict) else ():
            if isinstance(digest, str) and (only is None or name in only):
                yield digest
    if event.kind == "gated":
        yield from (digest for name in ("report", "baseline") if isinstance(digest := event.body.get(name), str))


def _bundles(state: State, cache: Cache, progress: Progress) -> Check:
    problems: list[str] = []
    unread: list[str] = []
    for number, known in enumerate(state.entries.values(), 1):
        try:
            _, bundle = cache.verified(known.sha)
        except Unavailable:
            # A promoted entry may be the target of a rollback, which reads only the cache.
            needed = bool(known.semvers) and known.tombstoned is None
            text = f"{_name(known)} has no bundle in the cache"
            (problems if needed else unread).append(f"{text}, but may have to serve" if needed else text)
        except SpineError as error:
            problems.append(f"{_name(known)}: {error.message}")
        else:
            body = known.registered.body
            recorded = tuple(body.get(name) for name in ("weights", "config", "assets", "parent"))
            if recorded != (bundle.weights, bundle.config, bundle.assets, bundle.parent_sha):
                problems.append(
                    f"{_name(known)}: event #{known.registered.seq} names other weights, config, assets or parent"
                )
            problems += [f"{_name(known)}: {problem}" for problem in _evidence_files(known, bundle)]
        progress("bundles", number, len(state.entries))
    checked = len(state.entries) - len(unread)
    return Check(name="bundles", checked=checked, problems=tuple(problems), not_checked=tuple(unread))


def _evidence_files(known: Known, bundle: Bundle) -> Iterator[str]:
    """The problems of the evidence files in an entry's cached bundle."""
    recorded = known.registered.body.get("evidence", {})
    for name in EVIDENCE:
        raw = bundle.evidence.get(f"{name}.json")
        if raw is not None and hashlib.sha256(raw).hexdigest() != recorded.get(name):
            yield f"{name}.json in its bundle differs from the one recorded in event #{known.registered.seq}"


def _pointers(events: Sequence[Event]) -> Check:
    """Check every promotion and route against the rules again, and whether the entries routed now may still answer."""
    problems: list[str] = []
    state, moves = State(), 0
    for event in events:
        if event.kind in MOVES:
            moves += 1
            problems += [f"#{event.seq} {event.kind}: {problem}" for problem in breaches(state, event)]
        fold((event,), state)
    for arm in state.route.learners if state.route else ():
        try:
            may_answer(state, arm.sha, arm.semver)
        except Refused as error:
            problems.append(f"arm {visible(arm.name, 20)} is routed to an entry that may not answer: {error.message}")
    return Check(name="pointers", checked=moves, problems=tuple(problems))


def _name(known: Known) -> str:
    return f"{visible(known.semvers[-1], 40)} {short(known.sha)}" if known.semvers else short(known.sha)
