"""Check everything that is stored against the digest written down for it: the oracle after every fault.

The chain is read from the table itself, so that the check goes on behind a broken row and names every one.
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
"""Lines that SQLite tells of what is wrong with its own pages."""
_FOR_EXAMPLE = "give it as `spine verify` printed it: SEQ:HASH, the hash with 64 digits"


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of thing that was checked: how many, what is wrong, and what is worth knowing."""

    name: str
    checked: int
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """The events that could be read, the newest one, and what is wrong with the others."""

    events: tuple[Event, ...]
    head: Head
    problems: tuple[str, ...]


def parse_checkpoint(text: str) -> Head:
    """A head somebody wrote down outside of the ledger.

    Raises:
        BadInput: it is not ``SEQ:HASH``.
    """
    match = _CHECKPOINT.fullmatch(text)
    if match is None:
        raise BadInput(f"{visible(text, 90)!r} is not a checkpoint", _FOR_EXAMPLE)
    return Head(int(match[1]), match[2])


def read_witness(file: Path, *, absent: bool = False) -> list[Head]:
    """The heads of a witness file, one a line; ``absent`` allows that there is no file yet.

    Raises:
        BadInput: it cannot be read, or a line is no ``SEQ:HASH``.
    """
    try:
        text = file.read_text(encoding="ascii")
    except FileNotFoundError as error:
        if absent:
            return []
        raise BadInput(
            f"there is no witness at {visible(str(file), 120)}", "begin one: `spine verify --witness F --keep`"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"the witness {visible(str(file), 120)} cannot be read", "take the committed file") from error
    return [parse_checkpoint(line) for line in text.split()]


def verify(
    ledger: Ledger,
    cache: Cache,
    chain: Chain,
    *,
    checkpoints: Sequence[Head] | None = None,
    more: Sequence[Callable[[State, Progress], Check]] = (),
    progress: Progress,
) -> Iterator[Check]:
    """Every check, one after the other, as each is done.

    ``checkpoints`` are the heads written down outside, None where nobody asks; ``more`` are the checks of what stands
    beside the ledger.

    Raises:
        Unavailable, Damaged: the ledger cannot be read at all.
    """
    yield Check(name="chain", checked=len(chain.events), problems=chain.problems)
    if checkpoints is not None:
        problems = tuple(problem for point in checkpoints if (problem := _against(chain, point)))
        notes = () if checkpoints else ("none is written down yet: the chain is held against nothing outside of it",)
        yield Check(name="checkpoints", checked=len(checkpoints), problems=problems, notes=notes)
    yield _evidence(ledger, chain.events, progress)
    try:
        state = fold(chain.events)
    except Exception as error:  # noqa: BLE001  (hand-made events can break the fold in any way; that is the finding)
        what = visible(f"{type(error).__name__}: {error}", 120)
        yield Check(name="state", checked=0, problems=(f"the events do not add up to a state: {what}",))
        return
    yield _bundles(state, cache, progress)
    yield _pointers(chain.events)
    for step in () if chain.problems else more:  # they ask the registry, which answers on a sound chain alone
        yield step(state, progress)


def read_chain(url: str) -> Chain:
    """Every row of the ledger, each checked on its own and against the one before.

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
            # Rows may be sound and an index beside them not: then a key or a digest is looked up in vain.
            said = database.read(f"PRAGMA integrity_check({_MOST})") if url.startswith("sqlite:") else []
        finally:
            database.close()
    problems += [f"the database: {visible(str(line), 160)}" for (line,) in said if line != "ok"]
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
    """One row as an event, and what is wrong with it; ``prev`` is None where the row before is missing."""
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else bytes(text or b"")
    found = hashlib.sha256(raw).hexdigest()
    if found != digest:
        return None, f"event #{seq} hashes to {found[:12]}, and {visible(str(digest)[:12])} stands beside it"
    try:
        event = msgspec.structs.replace(msgspec.json.decode(raw, type=Event), hash=str(digest))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return None, f"event #{seq} cannot be read: {visible(str(error), 120)}"
    if event.seq != seq:
        return event, f"event #{seq} says that it is #{event.seq}"
    if prev is not None and event.prev != prev:
        return event, f"event #{seq} follows {event.prev[:12]}, and the event before it is {prev[:12]}"
    if event.body.get("key") != key:
        return event, f"event #{seq} stands under another idempotency key than its own"
    return event, None


def _against(chain: Chain, point: Head) -> str | None:
    """What an outside checkpoint says against the chain."""
    if point.seq == 0 or point.seq > chain.head.seq:
        return (
            f"checkpoint #{point.seq} is not in the ledger, whose newest event is #{chain.head.seq}: its tail is gone"
        )
    event = next((e for e in chain.events if e.seq == point.seq), None)
    if event is None or event.hash != point.hash:
        now = event.hash[:12] if event else "unreadable"
        return f"event #{point.seq} is {now}, and the checkpoint says {point.hash[:12]}: the chain was rewritten"
    return None


def _evidence(ledger: Ledger, events: Sequence[Event], progress: Progress) -> Check:
    wanted = {digest: event.seq for event in events for digest in _named(event)}
    kept = ledger.evidence_digests()
    there = set(kept)
    problems = [
        f"event #{seq} names evidence {visible(digest[:12])}, which is gone"
        for digest, seq in sorted(wanted.items(), key=lambda item: item[1])
        if digest not in there
    ]
    for number, digest in enumerate(kept, 1):
        try:
            ledger.get(digest)
        except Damaged as error:
            problems.append(error.message)
        progress("evidence", number, len(kept))
    return Check(name="evidence", checked=len(kept), problems=tuple(problems))


def _named(event: Event) -> Iterator[str]:
    """The digests of the evidence that an event names."""
    for field, only in (("evidence", None), ("verdict", ("report", "digest"))):
        table = event.body.get(field)
        for name, digest in table.items() if isinstance(table, dict) else ():
            if isinstance(digest, str) and (only is None or name in only):
                yield digest
    if event.kind == "gated":
        yield from (digest for name in ("report", "baseline") if isinstance(digest := event.body.get(name), str))


def _bundles(state: State, cache: Cache, progress: Progress) -> Check:
    problems: list[str] = []
    notes: list[str] = []
    for number, known in enumerate(state.entries.values(), 1):
        try:
            _, bundle = cache.verified(known.sha)
        except Unavailable:
            serves = bool(known.semvers) and known.tombstoned is None
            told = f"{_name(known)} has no bundle in the cache"
            (problems if serves else notes).append(f"{told}, and it may have to answer" if serves else told)
        except SpineError as error:
            problems.append(f"{_name(known)}: {error.message}")
        else:
            body = known.registered.body
            named = tuple(body.get(name) for name in ("weights", "config", "parent"))
            if named != (bundle.weights, bundle.config, bundle.parent_sha):
                problems.append(f"{_name(known)}: event #{known.registered.seq} names other weights, config or parent")
            problems += [f"{_name(known)}: {problem}" for problem in _beside(known, bundle)]
        progress("bundles", number, len(state.entries))
    return Check(name="bundles", checked=len(state.entries), problems=tuple(problems), notes=tuple(notes))


def _beside(known: Known, bundle: Bundle) -> Iterator[str]:
    """What is wrong with the evidence files beside an entry's cached weights."""
    recorded = known.registered.body.get("evidence", {})
    for name in EVIDENCE:
        raw = bundle.evidence.get(f"{name}.json")
        if raw is not None and hashlib.sha256(raw).hexdigest() != recorded.get(name):
            yield f"{name}.json beside its weights is not the one of event #{known.registered.seq}"


def _pointers(events: Sequence[Event]) -> Check:
    """Every promotion and route held against the rules again, in its turn; and whether who answers now still may."""
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
            problems.append(f"arm {visible(arm.name, 20)} leads to an entry that may not answer: {error.message}")
    return Check(name="pointers", checked=moves, problems=tuple(problems))


def _name(known: Known) -> str:
    return f"{visible(known.semvers[-1], 40)} {short(known.sha)}" if known.semvers else short(known.sha)
