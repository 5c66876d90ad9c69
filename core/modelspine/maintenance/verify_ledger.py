"""Verification of the ledger, its evidence and the cached bundles against their recorded digests.

``maintenance.chain`` reads the rows, so that verification continues after a broken one and finds every one.
It prints nothing, repairs nothing and writes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import msgspec

from modelspine.errors import BadInput, Damaged, Refused, SpineError, Unavailable
from modelspine.identity.bundle import Bundle
from modelspine.identity.bundle_cache import Cache
from modelspine.ledger.bodies import BODIES, UNREADABLE
from modelspine.ledger.clocks import jump_text, jumps
from modelspine.ledger.mark import read_mark
from modelspine.ledger.replay import replay
from modelspine.ledger.state import Known, State, fold
from modelspine.ledger.store import Event, Head, Ledger
from modelspine.maintenance.chain import Chain, contradiction
from modelspine.maintenance.verify_rules import MOVES, breaches, not_checked
from modelspine.registry.entries import EVIDENCE, source_of
from modelspine.registry.rules import may_answer
from modelspine.text import counted, short, visible
from modelspine.times import FORMAT

Progress = Callable[[str, int, int], None]
"""Called with what is being checked, how many are done, and how many there are."""

_JUMPS = 20
"""Most events with a jumped time that are named."""


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


def verify(
    ledger: Ledger,
    cache: Cache,
    chain: Chain,
    *,
    checkpoints: Sequence[Head] | None = None,
    faults: Sequence[str] = (),
    unseen: Sequence[str] = (),
    mark: Path | None = None,
    more: Sequence[Callable[[State, Progress], Check | None]] = (),
    progress: Progress,
) -> Iterator[Check]:
    """Run all checks, yielding the result of each when it is done.

    Args:
        ledger: the ledger, for its evidence.
        cache: the bundle cache.
        chain: the ledger's rows, as ``read_chain`` returns them.
        checkpoints: heads recorded outside the ledger; None skips their check.
        faults: what is wrong with the file that the checkpoints were read from.
        unseen: what was not checked of that file.
        mark: the file of this machine's high-water mark; None skips its check.
        more: checks of the stores beside the ledger; None of one that does not apply.
        progress: called with the progress.

    Raises:
        Unavailable, Damaged: the ledger cannot be read at all.
    """
    yield Check(name="chain", checked=len(chain.events), problems=chain.problems)
    yield Check(name="schema", checked=1, problems=chain.schema)
    yield _events(chain)
    if mark is not None:
        yield _mark(chain, mark)
    if checkpoints is not None:
        problems = tuple(problem for point in checkpoints if (problem := contradiction(chain, point)))
        notes = () if checkpoints else ("no checkpoint is recorded yet; the chain was not compared with one",)
        yield Check(
            name="checkpoints",
            checked=len(checkpoints),
            problems=(*faults, *problems),
            notes=tuple(notes),
            not_checked=tuple(unseen),
        )
    yield _evidence(ledger, chain.events, progress)
    state = replay(chain.events).state
    yield _bundles(state, cache, progress)
    yield _pointers(chain.events)
    try:
        ledger.events() if chain.problems and more else None
    except Damaged as error:  # the others use the registry, which refuses a broken chain
        yield Check(name="the rest", checked=0, not_checked=(f"verdicts and other stores, as {error.message}",))
        return
    for step in more:
        check = step(state, progress)
        if check is not None:
            yield check


def _events(chain: Chain) -> Check:
    """Name each row that is not an event as this package writes it, and each event whose time jumped."""
    unknown = [event for event in chain.events if event.kind not in BODIES and event.kind != UNREADABLE]
    now = datetime.now(UTC).strftime(FORMAT)
    notes = [jump_text(jump) for jump in islice(jumps(chain.events, now), _JUMPS)]
    notes += _services(chain)
    unknown_kinds: tuple[str, ...] = ()
    if unknown:
        kinds = ", ".join(sorted({visible(event.kind, 40) for event in unknown})[:5])
        unknown_kinds = (f"{counted(len(unknown), 'event')} of kinds that this version does not know ({kinds})",)
    problems = tuple(f"event #{each.seq} cannot be read: {each.why}" for each in chain.unreadable)
    return Check(
        name="events",
        checked=len(chain.events) - len(unknown),
        problems=problems,
        notes=tuple(notes),
        not_checked=unknown_kinds,
    )


def _services(chain: Chain) -> Iterator[str]:
    """Name the entries of another service than the one whose ledger it is; earlier versions registered them."""
    entries = replay(chain.events).state.entries.values()
    named = [str(name) for known in entries if (name := known.registered.body.get("service"))]
    others = [name for name in named if name != named[0]]
    if others:
        of = f"of another service than {visible(named[0], 60)}: {visible(', '.join(sorted(set(others))), 120)}"
        yield f"{len(others):,} {'entry is' if len(others) == 1 else 'entries are'} {of}"


def _mark(chain: Chain, file: Path) -> Check:
    """Compare the ledger with the newest event that this machine saw in it."""
    try:
        mark = read_mark(file)
    except BadInput as error:
        return Check(name="mark", checked=0, problems=(f"{error.message}: {error.hint}",))
    if mark is None:
        return Check(name="mark", checked=0, not_checked=("this machine has not appended to the ledger",))
    problem = contradiction(chain, mark)
    way = f"if you restored the database yourself, remove {visible(str(file), 120)}"
    return Check(name="mark", checked=1, problems=(f"{problem}; this machine saw it ({way})",) if problem else ())


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
        except Unavailable as error:
            absent = cache.holds(known.sha) is False
            # A promoted entry may be the target of a rollback; where its files are in a run, that fetches them.
            source = source_of(known.registered.body)
            needed = absent and bool(known.semvers) and known.tombstoned is None and source is None
            text = f"{_name(known)} has no bundle in the cache" if absent else f"{error.message}; {error.hint}"
            if absent and source is not None:
                text += f"; it would be fetched from {visible(source, 100)}"
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
    unknown: list[str] = []
    state, moves = State(), 0
    for event in events:
        if event.kind in MOVES:
            moves += 1
            problems += [f"#{event.seq} {event.kind}: {problem}" for problem in breaches(state, event)]
            unseen = not_checked(state, event)
            unknown += [f"#{event.seq} {event.kind}: {unseen}"] if unseen is not None else []
        fold((event,), state)
    for arm in state.route.learners if state.route else ():
        try:
            may_answer(state, arm.sha, arm.semver)
        except Refused as error:
            problems.append(f"arm {visible(arm.name, 20)} is routed to an entry that may not answer: {error.message}")
    checked = moves - len(unknown)
    return Check(name="pointers", checked=checked, problems=tuple(problems), not_checked=tuple(unknown))


def _name(known: Known) -> str:
    return f"{visible(known.semvers[-1], 40)} {short(known.sha)}" if known.semvers else short(known.sha)
