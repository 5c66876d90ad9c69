"""A day's drift report as a fact: counted, put away by digest, and written into the ledger and a file.

The ledger's event and the evidence it names are the truth; ``drift_reports/D.json`` is a copy for people and
for git. The same day and inputs are the same event; more traces later are a new one. It draws nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from miniobserve.daily import Request, day_range
from modelspine.drift.bins import Tally
from modelspine.drift.reference import reference_of
from modelspine.drift.report import DriftReport, Live, Window, judge_day
from modelspine.drift.values import Values
from modelspine.errors import BadInput, Damaged, Unavailable
from modelspine.ledger.state import State
from modelspine.ledger.store import Draft, Event, storage_errors
from modelspine.ledger.transactions import History, Receipt
from modelspine.text import short, visible
from modelspine.times import of_ns

if TYPE_CHECKING:
    from modelspine.spine import Spine

KIND = "drift_reported"
Step = Callable[[int, int], None]
"""Called with how many requests were read so far, of how many."""


class Reported(msgspec.Struct, frozen=True, kw_only=True):
    """A report with the event that recorded it."""

    report: DriftReport
    digest: str
    event: Event
    created: bool = False
    """False where the same report had been recorded before."""


def measure(
    spine: Spine, day: str, *, against: str | None = None, step: Step = lambda _done, _total: None
) -> DriftReport:
    """Count a day's requests and compare them with a reference; changes nothing.

    Args:
        spine: the project.
        day: ``YYYY-MM-DD``, UTC.
        against: REF of the entry whose reference and evaluation count (default: the one that answered most).
        step: told of progress.

    Raises:
        BadInput: no learner was answered that day.
    """
    values = Values(spine.workload)
    live, window, answered = _count(spine, day, values, step)
    if not window.n:
        raise BadInput(f"no learner was answered on {day}", "`spine traces list` shows when some were")
    sha = spine.registry.resolve(against) if against is not None else answered
    reference = reference_of(spine, sha, values)
    evaluated = spine.registry.get(sha).eval_report
    return judge_day(day=day, entry_sha=sha, reference=reference, live=live, window=window, evaluated=evaluated)


def record(spine: Spine, report: DriftReport, *, expected: int | None = None) -> Reported:
    """Put a report away, write its event where it is news, and its file.

    Raises:
        Conflict: ``expected`` is not the newest event's seq any more; nothing was recorded.
        Unavailable: the file cannot be written; the event stands.
    """
    raw = msgspec.json.encode(report)
    digest = spine.ledger.put(raw)
    main = max(report.window.entries, key=lambda sha: report.window.entries[sha], default="") == report.entry_sha
    name = f"{report.day}.json" if main else f"{report.day}-{short(report.entry_sha)}.json"
    body = {
        "day": report.day,
        "entry": report.entry_sha,
        "evidence": {"report": digest},
        "file": name,
        "status": report.status,
        "n": report.window.n,
    }

    def decide(state: State) -> list[Draft]:
        return [] if _same(newest(spine, state.seq, name), digest) else [Draft(kind="drift_reported", body=body)]

    done: Receipt | None = History(spine.ledger).change(decide, sha=report.entry_sha, expected=expected)
    event = done.event if done is not None else newest(spine, None, name)
    assert event is not None
    _write(spine.settings.drift_reports / name, msgspec.json.format(raw, indent=1) + b"\n")
    return Reported(report=report, digest=digest, event=event, created=done is not None)


def newest(spine: Spine, upto: int | None, name: str) -> Event | None:
    """The newest event whose report is the file of that name."""
    events = [e for e in reversed(spine.registry.events()) if e.kind == KIND and e.body.get("file") == name]
    return next((event for event in events if upto is None or event.seq <= upto), None)


def digest_of(event: Event) -> str:
    """The digest of the report an event recorded."""
    evidence = event.body.get("evidence")
    return str(evidence.get("report")) if isinstance(evidence, dict) else ""


def recorded(spine: Spine, event: Event) -> Reported:
    """The report an event recorded, its bytes hashed again now.

    Raises:
        Damaged: the bytes are gone, have another hash, or are no report.
    """
    digest = digest_of(event)
    try:
        report = msgspec.json.decode(spine.ledger.get(digest), type=DriftReport)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Damaged(
            f"the report of event #{event.seq} cannot be read: {visible(str(error), 120)}", "run `spine verify`"
        ) from error
    return Reported(report=report, digest=digest, event=event)


def days(spine: Spine, at: str | None = None) -> dict[str, Event]:
    """Each reported day's newest event, oldest day first; reports against other entries are not among them.

    With ``at`` (RFC 3339 UTC) it is as it was at that moment.
    """
    found: dict[str, Event] = {}
    for event in spine.registry.events(at):
        day = str(event.body.get("day"))
        if event.kind == KIND and event.body.get("file") == f"{day}.json":
            found[day] = event
    return dict(sorted(found.items()))


def newest_day(spine: Spine) -> str:
    """The newest day on which a request started.

    Raises:
        BadInput: there was none.
    """
    with storage_errors():
        day = spine.traces.requests.last_day()
    if day is None:
        raise BadInput("there are no traces yet", "serve some requests: `spine serve`")
    return day


def _count(spine: Spine, day: str, values: Values, step: Step) -> tuple[Live, Window, str]:
    """What came on a day, the window it came in, and the entry that answered most of it."""
    live, entries, learners, replayed, seen = Live(Tally(), Counter()), Counter[str](), Counter[str](), 0, 0
    since, until = day_range(day)
    with storage_errors():
        requests = spine.traces.requests
        total = requests.count(since, until)
        for page in requests.pages(since, until, Request):
            seen += len(page)
            answered = [r for r in page if r.shadow_of is None and r.status < 500 and r.entry_sha]
            entries.update(request.entry_sha for request in answered)
            learners.update(request.learner_hash for request in answered if request.learner_hash)
            replayed += sum(request.source == "replay" for request in answered)
            live.tally.add(values.of_requests(answered))
            live.buckets.update(values.count_buckets(answered))
            step(seen, total)
    window = Window(
        start=of_ns(since),
        to=of_ns(until),
        n=entries.total(),
        replayed=replayed,
        learners=len(learners),
        heaviest=max(learners.values(), default=0),
        entries=dict(sorted(entries.items(), key=lambda pair: (-pair[1], pair[0]))),
    )
    return live, window, next(iter(window.entries), "")


def _same(event: Event | None, digest: str) -> bool:
    return event is not None and digest_of(event) == digest


def _write(file: Path, raw: bytes) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.is_file() or file.read_bytes() != raw:
            made = file.with_name(f".{file.name}.new")
            made.write_bytes(raw)
            made.replace(file)
    except OSError as error:
        raise Unavailable(
            f"the report could not be written to {file}: {error.strerror or error}",
            "make room or mend the folder, then repeat the command; the ledger has it already",
        ) from error
