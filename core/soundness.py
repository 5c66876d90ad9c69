"""Checks of what stands beside the ledger, for ``spine verify``: corpora, traces, and the verdicts promoted on.

Each answers with a ``Check``; what is not on this machine is a note, what does not have its digest a problem.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from core.errors import Damaged, Refused, SpineError, Unavailable, UnknownRef
from core.gateanswer import disagreement
from core.ledger import Event, storage_errors
from core.spine import Spine
from core.standing import standing
from core.state import State
from core.text import short, visible
from core.verify import Check, Progress
from miniobserve.sql import connect

Step = Callable[[State, Progress], Check]


def steps(spine: Spine) -> tuple[Step, ...]:
    """The checks of one project, to be handed to ``core.verify.verify``."""
    return (
        lambda state, _progress: _verdicts(spine, state),
        lambda state, progress: _corpora(spine, state, progress),
        lambda _state, _progress: _traces(spine.settings.traces),
    )


def _verdicts(spine: Spine, state: State) -> Check:
    """Every promotion's verdict, checked again against the trust file: signature, entry, result, ledger."""
    events = spine.registry.events()
    problems: list[str] = []
    notes: list[str] = []
    promoted = [event for event in events if event.kind == "promoted"]
    for event in promoted:
        name = f"#{event.seq} {visible(str(event.body.get('semver')), 40)} {short(str(event.body.get('sha')))}"
        if standing(event) != "signed":
            if state.env != "dev":
                problems.append(f"{name}: promoted without a signed verdict in a {visible(state.env, 20)} ledger")
            continue
        try:
            wrong = _against(spine, event, events)
        except Refused as error:
            # A key that was removed spoils what it signed; what serves now must be gated again.
            serves = event.body.get("sha") in {arm.sha for arm in (state.route.arms if state.route else ())}
            (problems if serves else notes).append(f"{name}: {error.message}")
        except SpineError as error:
            problems.append(f"{name}: {error.message}")
        else:
            problems += [f"{name}: {wrong}"] if wrong else []
    return Check(name="verdicts", checked=len(promoted), problems=tuple(problems), notes=tuple(notes))


def _against(spine: Spine, event: Event, events: list[Event]) -> str | None:
    signed = spine.verdict(str(event.body["verdict"].get("digest")))
    return disagreement(signed, event, lambda seq: events[seq - 1].hash if 0 < seq <= len(events) else None)


def _corpora(spine: Spine, state: State, progress: Progress) -> Check:
    """Every corpus an entry was trained on, where its rows are on this machine: hashed again."""
    wanted = dict.fromkeys(
        str(dvc_hash)
        for known in state.entries.values()
        for dvc_hash in known.registered.body.get("corpora", ())
        if known.tombstoned is None
    )
    problems: list[str] = []
    notes: list[str] = []
    for number, dvc_hash in enumerate(wanted, 1):
        try:
            spine.corpora.verify(dvc_hash)
        except Damaged as error:
            problems.append(error.message)
        except (Unavailable, UnknownRef) as error:
            notes.append(error.message)
        except SpineError as error:
            problems.append(error.message)
        progress("corpora", number, len(wanted))
    return Check(name="corpora", checked=len(wanted), problems=tuple(problems), notes=tuple(notes))


def _traces(url: str) -> Check:
    """The trace store's own account of itself; SQLite reads every page for it."""
    sqlite = url.startswith("sqlite:///")
    if sqlite and not Path(url.removeprefix("sqlite:///")).exists():
        return Check(name="traces", checked=0, notes=("there is no trace store yet: nothing was served",))
    try:
        with storage_errors():
            database = connect(url, readonly=True)
            try:
                said = database.read("PRAGMA quick_check(20)") if sqlite else []
                count = int(database.read("SELECT count(*) FROM traces")[0][0])
            finally:
                database.close()
    except Damaged as error:
        return Check(name="traces", checked=0, problems=(error.message,))
    except Unavailable as error:
        return Check(name="traces", checked=0, notes=(error.message,))
    problems = tuple(visible(str(line), 160) for (line,) in said if line != "ok")
    return Check(name="traces", checked=count, problems=problems)
