"""Checks of the stores beside the ledger, for ``spine verify``: verdicts, corpora, traces and exported days.

Each returns a ``Check``. What is not on this machine, or cannot be read, is not checked; what does not match its digest
is a problem.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from miniobserve.archive import Archive
from miniobserve.migrate import refuse_old
from miniobserve.sql.open import connect
from modelspine.errors import BadInput, Damaged, Refused, SpineError, Unavailable
from modelspine.ledger.state import Known, State, fold
from modelspine.ledger.store import Event, Ledger, storage_errors
from modelspine.maintenance.verify_files import kept_files
from modelspine.maintenance.verify_grounds import gate_runs, judged_canaries
from modelspine.maintenance.verify_ledger import Check, Progress
from modelspine.project import DAYS, Project
from modelspine.registry.entries import manifest_corpora
from modelspine.registry.floor import floor_of
from modelspine.registry.promotion_record import excluded, verdict_kind
from modelspine.text import counted, short, visible

if TYPE_CHECKING:
    from modelspine.attestation.keys import Trust

Step = Callable[[State, Progress], Check | None]


def steps(project: Project) -> tuple[Step, ...]:
    """The checks of one project, for the argument ``more`` of ``maintenance.verify_ledger.verify``."""
    return (
        lambda state, _progress: _committed(project, state),
        lambda state, _progress: _verdicts(project, state),
        lambda _state, _progress: gate_runs(project.registry.events(), project.ledger.get),
        lambda _state, _progress: judged_canaries(project.registry.events(), lambda: project.traces.evidence),
        lambda state, progress: _corpora(project, state, progress),
        lambda _state, _progress: _traces(project.settings.traces),
        lambda _state, progress: _exports(project, progress),
        lambda _state, progress: kept_files(project.settings.files, progress),
    )


def _committed(project: Project, state: State) -> Check | None:
    """Check in prod whether git says what is committed: it decides which keys and which baseline count."""
    from modelspine.attestation.trust import BASELINE, TRUST, in_force
    from modelspine.git import top_of

    if (state.env, project.settings.env) == ("dev", "dev"):
        return None  # a dev ledger accepts files before they are committed
    try:
        if top_of(project.settings.root) is None:
            why = "there is no git repository here, so trust file and baseline count as they are on disk"
            return Check(name="committed", checked=0, not_checked=(why,))
    except Unavailable as error:
        return Check(name="committed", checked=0, not_checked=(f"{error.message}; {error.hint}",), required=True)
    notes: list[str] = []
    unread: list[str] = []
    for name in (TRUST, BASELINE):
        try:
            in_force(project.settings, name, committed=True)
        except Refused as error:  # the committed content was read; the verdicts are checked against it
            notes.append(error.message)
        except Unavailable as error:
            unread.append(f"{error.message}; {error.hint}")
    checked = len((TRUST, BASELINE)) - len(unread)
    return Check(name="committed", checked=checked, notes=tuple(notes), not_checked=tuple(unread), required=True)


def _verdicts(project: Project, state: State) -> Check:
    """Check every promotion's verdict again: signature, trusted key, entry, result and ledger head."""
    from modelspine.attestation.trust import baseline_at

    events, trust = project.registry.events(), _trust_of(project)
    unseen: dict[str, None] = {}

    @cache
    def baseline(commit: str) -> bytes | None:
        raw = baseline_at(project.settings, commit)
        if raw is None:
            unseen[commit] = None
        return raw

    serving = {arm.sha for arm in (state.route.arms if state.route else ())}
    problems: list[str] = []
    notes: list[str] = []
    unread: Counter[str] = Counter()
    promoted: list[Event] = []
    then = State()
    for event in events:
        if event.kind == "promoted":
            name = f"#{event.seq} {visible(str(event.body.get('semver')), 40)} {short(str(event.body.get('sha')))}"
            try:
                problem = _verdict_problem(project.ledger, trust, baseline, event, events, then, promoted)
            except Refused as error:
                # Removing a key from the trust file invalidates what it signed. That is a problem only for an entry
                # that serves now; past promotions were valid at their time.
                (problems if event.body.get("sha") in serving else notes).append(f"{name}: {error.message}")
            except Unavailable as error:
                unread[error.message] += 1
            except SpineError as error:
                problems.append(f"{name}: {error.message}")
            else:
                problems += [f"{name}: {problem}"] if problem else []
            promoted.append(event)
        fold((event,), then)
    not_checked = [f"{counted(n, 'verdict')}: {why}" for why, n in unread.items()]
    not_checked += [_missing_baselines(project, unseen)] if unseen else []
    checked = len(promoted) - unread.total()
    return Check(
        name="verdicts",
        checked=checked,
        problems=tuple(problems),
        notes=tuple(notes),
        not_checked=tuple(not_checked),
    )


def _missing_baselines(project: Project, commits: Iterable[str]) -> str:
    """What was not checked because these commits are not in the repository."""
    from modelspine.git import is_shallow

    missing = [visible(commit[:12], 12) for commit in commits]
    text = f"the baselines of {counted(len(missing), 'commit')} that are not here ({', '.join(missing[:3])})"
    try:
        cut = is_shallow(project.settings.root)
    except Unavailable:  # named by the check of what is committed
        cut = False
    return f"{text}; this is a shallow clone: `git fetch --unshallow` brings them" if cut else text


def _trust_of(project: Project) -> Callable[[], Trust]:
    """What returns the trust file in force, or raises why there is none; it is read once, when it is needed first."""
    from modelspine.attestation.trust import load_trust

    @cache  # because it runs git; and only when it is needed, because a dev ledger may have no trust file
    def loaded() -> Trust | SpineError:
        try:
            return load_trust(project.settings, project.registry.state().env)
        except SpineError as error:
            return error

    def trust() -> Trust:
        found = loaded()
        if isinstance(found, SpineError):
            raise found
        return found

    return trust


def _verdict_problem(
    ledger: Ledger,
    trust: Callable[[], Trust],
    baseline_at: Callable[[str], bytes | None],
    event: Event,
    events: list[Event],
    then: State,
    earlier: list[Event],
) -> str | None:
    """The problem of a verdict promoted on in the state ``then``, after the ``earlier`` promotions; None if valid."""
    if verdict_kind(event) != "signed":
        return None if then.env == "dev" else f"promoted without a signed verdict in a {visible(then.env, 20)} ledger"
    from modelspine.attestation.checks import disagreement, staleness
    from modelspine.attestation.kept import contradicts_kept
    from modelspine.attestation.statement import Counted
    from modelspine.attestation.verdict import read_verdict

    digest = str(event.body["verdict"].get("digest"))
    signed = read_verdict(ledger.get(digest), trust())
    predicate = signed.statement.predicate
    if any((other.body.get("verdict") or {}).get("digest") == digest for other in earlier):
        return "its verdict was used for an earlier promotion"
    if (predicate.stable.entry_sha if predicate.stable is not None else None) != then.production:
        return "its verdict compares with a different entry from the one that was in production"
    if predicate.floor is None or isinstance(predicate.floor, Counted):  # verdicts made before floors existed name none
        floor = floor_of(then, ledger.get, predicate.eval_set, predicate.decoding, excluded(predicate.policy))
        if (predicate.floor.entry_sha if predicate.floor else None) != (floor.entry_sha if floor else None):
            return "its verdict compares with a different floor from the best entry that had been in production"
    if (stale := staleness(predicate, event, events)) is not None:
        return stale
    kept = contradicts_kept(predicate, ledger.get, baseline_at)
    if kept is not None:
        return kept

    def hash_at(seq: int) -> str | None:
        return events[seq - 1].hash if 0 < seq <= len(events) else None

    return disagreement(signed.statement, signed.key.id, event, hash_at)


def _corpora(project: Project, state: State, progress: Progress) -> Check:
    """Hash every training corpus that is on this machine again."""
    trained = [known for known in state.entries.values() if known.tombstoned is None]
    wanted = dict.fromkeys(corpus for known in trained for corpus in _trained_on(project, known))
    problems: list[str] = []
    unread: list[str] = []
    for number, (dvc_hash, sha256, path) in enumerate(wanted, 1):
        try:
            project.corpora.verify(dvc_hash, sha256=sha256, path=path)
        except Damaged as error:
            problems.append(error.message)
        # A manifest is its author's text and may name anything: a hash that is not one is no damage to a store.
        except (Unavailable, BadInput) as error:
            unread.append(error.message)
        except SpineError as error:
            problems.append(error.message)
        progress("corpora", number, len(wanted))
    checked = len(wanted) - len(unread)
    return Check(name="corpora", checked=checked, problems=tuple(problems), not_checked=tuple(dict.fromkeys(unread)))


def _trained_on(project: Project, known: Known) -> list[tuple[str, str | None, str]]:
    """DVC hash, SHA-256 and path of an entry's corpora, from its manifest or, if that is damaged, from its event."""
    named = known.registered.body.get("corpora", ())
    try:
        corpora = manifest_corpora(project.registry.get(known.sha)) if named else []
    except SpineError:
        return [(str(dvc_hash), None, "") for dvc_hash in named]
    fields = [(str(c.get("dvc_hash")), c.get("sha256"), str(c.get("path", ""))) for c in corpora]
    return [(dvc_hash, None if sha256 is None else str(sha256), path) for dvc_hash, sha256, path in fields]


def _traces(url: str) -> Check:
    """Check the trace store; for SQLite by its integrity check, which reads every page and index."""
    sqlite = url.startswith("sqlite:///")
    if sqlite and not Path(url.removeprefix("sqlite:///")).exists():
        return Check(name="traces", checked=0, notes=("there is no trace store yet; no requests were served",))
    try:
        with storage_errors():
            database = connect(url, readonly=True)
            try:
                findings = database.read("PRAGMA integrity_check(20)") if sqlite else []
                refuse_old(database)
                count = int(database.read("SELECT count(*) FROM requests")[0][0])
            finally:
                database.close()
    except Damaged as error:
        return Check(name="traces", checked=0, problems=(error.message,))
    except Unavailable as error:
        return Check(name="traces", checked=0, not_checked=(error.message,))
    problems = tuple(visible(str(line), 160) for (line,) in findings if line != "ok")
    return Check(name="traces", checked=count, problems=problems)


def _exports(project: Project, progress: Progress) -> Check:
    """Hash every file and manifest of closed days again, and name the pruned days that are not there."""
    from miniobserve.closed_check import checked_day

    problems: list[str] = []
    unread: Counter[str] = Counter()
    days: list[str] = []
    archive = Archive(project.settings.parquet, project.settings.cache / DAYS)
    try:
        try:
            with storage_errors():
                days = list(archive.index.known())
        except SpineError as error:
            return Check(name="exports", checked=0, not_checked=(visible(error.message, 200),))
        for number, day in enumerate(days, 1):
            try:
                with storage_errors():
                    problems += [f"{day}: {visible(problem, 200)}" for problem in checked_day(archive, day)]
            except Unavailable as error:  # a library that is not installed, or a file that may not be read
                unread[error.message] += 1
            except SpineError as error:
                problems.append(f"{day}: {visible(error.message, 200)}")
            progress("exports", number, len(days))
    finally:
        archive.close()
    not_checked = [f"{counted(n, 'day')}: {visible(why, 200)}" for why, n in unread.items()]
    lost = [day for day in _lost(project) if day not in days]
    not_checked += [f"{day}: it was pruned from the live store, and its files are not there" for day in lost]
    checked = len(days) - unread.total()
    return Check(name="exports", checked=checked, problems=tuple(problems), not_checked=tuple(not_checked))


def _lost(project: Project) -> list[str]:
    """Closed days that left the live store and cannot be read back, also those of which some file is left."""
    try:
        with storage_errors():
            return project.traces.lost_days()
    except SpineError:  # the check of the live store says so
        return []
