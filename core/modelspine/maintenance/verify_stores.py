"""Checks of what stands beside the ledger, for ``spine verify``: corpora, traces, and the verdicts promoted on.

Each answers with a ``Check``; what is not on this machine is a note, what does not have its digest a problem.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from miniobserve.archive import Archive
from miniobserve.sql.open import connect
from modelspine.errors import BadInput, Damaged, Refused, SpineError, Unavailable
from modelspine.ledger.state import Known, State, fold
from modelspine.ledger.store import Event, Ledger, storage_errors
from modelspine.maintenance.verify_ledger import Check, Progress
from modelspine.project import Project
from modelspine.registry.entries import manifest_corpora
from modelspine.registry.promotion_record import verdict_kind
from modelspine.text import short, visible

if TYPE_CHECKING:
    from modelspine.attestation.keys import Trust

Step = Callable[[State, Progress], Check]


def steps(project: Project) -> tuple[Step, ...]:
    """The checks of one project, to be handed to ``maintenance.verify_ledger.verify``."""
    return (
        lambda state, _progress: _verdicts(project, state),
        lambda state, progress: _corpora(project, state, progress),
        lambda _state, _progress: _traces(project.settings.traces),
        lambda _state, progress: _exports(Archive(project.settings.parquet), progress),
    )


def _verdicts(project: Project, state: State) -> Check:
    """Every promotion's verdict, checked again against the trust file: signature, entry, result, ledger."""
    from modelspine.attestation.trust import load_trust

    events = project.registry.events()
    trust = cache(lambda: load_trust(project.settings, project.registry.state().env))  # asks git, once
    serving = {arm.sha for arm in (state.route.arms if state.route else ())}
    problems: list[str] = []
    notes: list[str] = []
    promoted: list[Event] = []
    then = State()
    for event in events:
        if event.kind == "promoted":
            name = f"#{event.seq} {visible(str(event.body.get('semver')), 40)} {short(str(event.body.get('sha')))}"
            try:
                wrong = _wrong(project.ledger, trust, event, events, then, promoted)
            except Refused as error:
                # A key that was removed spoils what it signed; what serves now must be gated again.
                (problems if event.body.get("sha") in serving else notes).append(f"{name}: {error.message}")
            except SpineError as error:
                problems.append(f"{name}: {error.message}")
            else:
                problems += [f"{name}: {wrong}"] if wrong else []
            promoted.append(event)
        fold((event,), then)
    return Check(name="verdicts", checked=len(promoted), problems=tuple(problems), notes=tuple(notes))


def _wrong(
    ledger: Ledger, trust: Callable[[], Trust], event: Event, events: list[Event], then: State, earlier: list[Event]
) -> str | None:
    """What is wrong with the verdict of a promotion that was made on the state ``then``, after the ``earlier`` ones."""
    if verdict_kind(event) != "signed":
        return None if then.env == "dev" else f"promoted without a signed verdict in a {visible(then.env, 20)} ledger"
    from modelspine.attestation.checks import disagreement
    from modelspine.attestation.verdict import read_verdict

    digest = str(event.body["verdict"].get("digest"))
    signed = read_verdict(ledger.get(digest), trust())
    said = signed.statement.predicate
    if any((other.body.get("verdict") or {}).get("digest") == digest for other in earlier):
        return "its verdict had served a promotion before"
    if (said.stable.entry_sha if said.stable is not None else None) != then.production:
        return "its verdict compares with another entry than the one that was in production"
    if said.expires <= event.at != then.at:  # a time that only repeats the one before was told by a slower clock
        return f"its verdict had expired at {visible(said.expires, 40)}"

    def hash_at(seq: int) -> str | None:
        return events[seq - 1].hash if 0 < seq <= len(events) else None

    return disagreement(signed.statement, signed.key.id, event, hash_at)


def _corpora(project: Project, state: State, progress: Progress) -> Check:
    """Every corpus an entry was trained on, where its rows are on this machine: hashed again."""
    trained = [known for known in state.entries.values() if known.tombstoned is None]
    wanted = dict.fromkeys(corpus for known in trained for corpus in _trained_on(project, known))
    problems: list[str] = []
    notes: list[str] = []
    for number, (dvc_hash, sha256) in enumerate(wanted, 1):
        try:
            project.corpora.verify(dvc_hash, sha256=sha256)
        except Damaged as error:
            problems.append(error.message)
        except (Unavailable, BadInput) as error:  # nobody can make it whole: a manifest may name anything
            notes.append(error.message)
        except SpineError as error:
            problems.append(error.message)
        progress("corpora", number, len(wanted))
    return Check(name="corpora", checked=len(wanted), problems=tuple(problems), notes=tuple(notes))


def _trained_on(project: Project, known: Known) -> list[tuple[str, str | None]]:
    """DVC hash and SHA-256 of the corpora an entry's manifest names; what its event names, where that is damaged."""
    named = known.registered.body.get("corpora", ())
    try:
        corpora = manifest_corpora(project.registry.get(known.sha)) if named else []
    except SpineError:
        return [(str(dvc_hash), None) for dvc_hash in named]
    digests = [(str(c.get("dvc_hash")), c.get("sha256")) for c in corpora]
    return [(dvc_hash, None if sha256 is None else str(sha256)) for dvc_hash, sha256 in digests]


def _traces(url: str) -> Check:
    """The trace store's own account of itself; SQLite reads every page and index for it."""
    sqlite = url.startswith("sqlite:///")
    if sqlite and not Path(url.removeprefix("sqlite:///")).exists():
        return Check(name="traces", checked=0, notes=("there is no trace store yet: nothing was served",))
    try:
        with storage_errors():
            database = connect(url, readonly=True)
            try:
                said = database.read("PRAGMA integrity_check(20)") if sqlite else []
                count = int(database.read("SELECT count(*) FROM traces")[0][0])
            finally:
                database.close()
    except Damaged as error:
        return Check(name="traces", checked=0, problems=(error.message,))
    except Unavailable as error:
        return Check(name="traces", checked=0, notes=(error.message,))
    problems = tuple(visible(str(line), 160) for (line,) in said if line != "ok")
    return Check(name="traces", checked=count, problems=problems)


def _exports(archive: Archive, progress: Progress) -> Check:
    """Every exported day, its rows read and hashed again: once pruned, a day stands nowhere else."""
    days = archive.days()
    problems = [f"{day}: it left the live store, and its file is gone" for day in archive.lost()]
    try:
        for number, day in enumerate(days, 1):
            try:
                with storage_errors():
                    archive.recheck(day)
            except SpineError as error:
                problems.append(f"{day}: {visible(error.message, 200)}")
            progress("exports", number, len(days))
    finally:
        archive.close()
    return Check(name="exports", checked=len(days), problems=tuple(problems))
