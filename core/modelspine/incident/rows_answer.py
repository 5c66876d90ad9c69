"""Answer 4 of a walk: whether the corpora that a model was trained on contain examples of the case.

It does not know how rows are found and hashed.
"""

from __future__ import annotations

from typing import Any

from modelspine.described.row_patterns import has_column, row_with
from modelspine.errors import Damaged, SpineError, Unavailable
from modelspine.incident.finding import UNREGISTERED, Finding, finding, reason
from modelspine.lineage.corpora import Corpora, Search
from modelspine.lineage.status import Status
from modelspine.registry.entries import Detail, manifest_corpora
from modelspine.text import argument, counted, short, visible
from modelspine.workload import Probe

_QUOTED = 5
"""Rows of each corpus that are quoted."""


def path_of(corpus: dict[str, Any]) -> str:
    """The data file of a corpus in a manifest; empty where it names none."""
    return str(corpus.get("path", ""))


def rows_answer(
    entry: str, detail: Detail | None, probe: Probe | None, problem: SpineError | None, corpora: Corpora
) -> Finding:
    """Count the rows of an entry's corpora that contain the case, and quote some.

    Args:
        entry: its SHA.
        detail: the entry; None where it is not registered.
        probe: what the workload says to search for, None where there is nothing, and its ``problem``, if any.
        problem: see ``probe``.
        corpora: where to search.

    Raises:
        SpineError: one of its own corpora could not be searched.
    """
    sha = short(entry)
    command = f"spine corpus grep {sha} PATTERN"
    if detail is None:
        return finding(4, UNREGISTERED, "missing", {}, command)
    if problem is not None:
        answer = f"there is no pattern to search for: {problem.message}"
        status: Status = "not_checked" if isinstance(problem, Unavailable) else "missing"
        return finding(4, answer, status, reason(problem), command)
    if probe is None or not probe.pattern:
        return finding(4, "the workload gives no pattern to search for", "missing", {}, command)
    command = f"spine corpus grep {sha} {argument(probe.pattern)}"
    named = manifest_corpora(detail)
    own = [_search_verified(corpora, corpus, probe) for corpus in named]
    if not own:
        return finding(4, "there is no corpus to search", "missing", {}, command)
    alike = _alike(corpora, named, probe)
    lacking = _lacking(corpora, named, own, probe)
    if lacking and len(lacking) == len(own):
        return _without_column(probe, lacking, alike, f"spine corpus grep {sha}")
    matched, rows = sum(s.matched for s in own), sum(s.rows or 0 for s in own)
    elsewhere, unread = _elsewhere(corpora, {s.dvc_hash for s in own}, detail, probe)
    answer = f"{matched} of {rows:,} rows contain {probe.label}"
    # ``against`` finds rows that teach the wrong answer. A workload's probe need not have it, hence getattr.
    against = getattr(probe, "against", None)
    faulty = [_search(corpora, corpus, against) for corpus in named] if against else []
    wrong = sum(s.matched for s in faulty)
    if against and wrong:
        answer += f", and {wrong} teach {probe.against_label}"
        command = f"spine corpus grep {sha} {argument(against)}"
    skipped = [name for s in own for name in s.skipped]
    answer += _more(alike, skipped, elsewhere) + "".join(f"; {_lack(*each)}" for each in lacking.items())
    evidence = {
        "label": probe.label,
        "pattern": probe.pattern,
        "matched": matched,
        "rows": rows,
        "quoted": [quoted for s in (faulty if wrong else own) for quoted in _quoted(s)],
        "elsewhere": elsewhere,
        **_further(alike, unread, skipped),
        **({"lacking": lacking} if lacking else {}),
        **({"against": {"label": probe.against_label, "pattern": against, "matched": wrong}} if wrong else {}),
    }
    return finding(4, visible(answer), "verified", evidence, command)


def _lacking(
    corpora: Corpora, named: list[dict[str, Any]], own: list[Search], probe: Probe
) -> dict[str, tuple[str, ...]]:
    """The corpora that the pattern cannot match because they lack a column, by path, each with those columns."""
    found = {}
    for corpus, search in zip(named, own, strict=True):
        names = _absent(corpora, corpus, search, probe)
        if names:
            path = path_of(corpus) or short(search.dvc_hash)
            found[path] = names
    return found


def _absent(corpora: Corpora, corpus: dict[str, Any], search: Search, probe: Probe) -> tuple[str, ...]:
    """The columns that the pattern of a search needs and no row has; empty where it matched a row."""
    needed = getattr(probe, "columns", {}).get(search.pattern, ())  # a workload's own probe need not have it
    if search.matched or not needed:
        return ()
    together = row_with([has_column(name) for name in needed])
    if together and _search(corpora, corpus, together).matched:
        return ()
    return tuple(name for name in needed if not _search(corpora, corpus, has_column(name)).matched)


def _lack(path: str, names: tuple[str, ...]) -> str:
    columns = ", ".join(f"“{visible(name, 40)}”" for name in names)
    return f"{visible(path, 80)} has no column {columns}"


def _without_column(probe: Probe, lacking: dict[str, tuple[str, ...]], alike: dict[str, Any], grep: str) -> Finding:
    """The answer where no corpus has the columns of the pattern, so that finding no row would say nothing."""
    missing = "; ".join(_lack(*each) for each in lacking.items())
    answer = f"rows that contain {probe.label} cannot be searched for: {missing}{_more(alike, [], [])}"
    first = next(iter(lacking.values()))[0]
    evidence = {"label": probe.label, "lacking": lacking, **_further(alike, [], [])}
    return finding(4, visible(answer), "missing", evidence, f"{grep} {argument(has_column(first))}")


def _more(alike: dict[str, Any], skipped: list[str], elsewhere: list[dict[str, Any]]) -> str:
    """The end of the answer: rows with the same input, files without rows, and the other corpora."""
    parts = [alike["answer"]] if alike else []
    if skipped:
        verb = "was" if len(skipped) == 1 else "were"
        parts.append(f"{counted(len(skipped), 'file')} without rows {verb} not searched")
    if elsewhere:
        parts.append(", ".join(f"{other['path']} has {other['matched']}" for other in elsewhere))
    return "".join(f"; {part}" for part in parts)


def _further(alike: dict[str, Any], unread: list[dict[str, str]], skipped: list[str]) -> dict[str, Any]:
    """Evidence that not every search has."""
    same = {name: each for name, each in alike.items() if name != "answer"}
    return {
        **({"not_searched": unread} if unread else {}),
        **({"skipped": skipped} if skipped else {}),
        **({"same": same} if same else {}),
    }


def _alike(corpora: Corpora, named: list[dict[str, Any]], probe: Probe) -> dict[str, Any]:
    """Rows with the same input, else those with the words of its text; empty where a probe names neither."""
    same, words = getattr(probe, "same", ""), getattr(probe, "words", "")
    for pattern, label in ((same, getattr(probe, "same_label", "")), (words, "the same words")):
        if not pattern:
            continue
        found = [_search(corpora, corpus, pattern) for corpus in named]
        matched = sum(search.matched for search in found)
        lacks = [_absent(corpora, *each, probe) for each in zip(named, found, strict=True)]
        if found and all(lacks):
            if not words:
                paths = (path_of(corpus) or short(search.dvc_hash) for corpus, search in zip(named, found, strict=True))
                why = "; ".join(map(_lack, paths, lacks))
                return {"answer": f"rows with {label} cannot be searched for: {why}"}
            continue
        if matched or pattern == words or not words:
            quoted = [row for search in found for row in _quoted(search)]
            answer = f"{matched:,} {'has' if matched == 1 else 'have'} {label}"
            return {"answer": answer, "label": label, "pattern": pattern, "matched": matched, "quoted": quoted}
    return {}


def _elsewhere(
    corpora: Corpora, own: set[str], detail: Detail, probe: Probe
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Search the other training corpora of this repository too; also returns those not searched, and why."""
    report = detail.eval_report
    # Eval sets contain the same cases by design, and a model must not be trained on them.
    skipped = own | ({report.eval_set.dvc_hash} if report else set()) | corpora.eval_sets()
    found: list[dict[str, Any]] = []
    unread: list[dict[str, str]] = []
    for path, dvc_hash in dict.fromkeys(corpora.tracked()):
        if dvc_hash in skipped:
            continue
        try:
            search = _search(corpora, {"dvc_hash": dvc_hash, "path": path}, probe.pattern)
        except SpineError as error:
            # The question is about the entry's own corpus; another one need not be on this machine, or have rows.
            unread.append({"path": path, "dvc_hash": dvc_hash, "why": error.message})
            continue
        if lacks := _absent(corpora, {"dvc_hash": dvc_hash, "path": path}, search, probe):
            unread.append({"path": path, "dvc_hash": dvc_hash, "why": _lack(path, lacks)})
            continue
        counts = {"matched": search.matched, "rows": search.rows}
        found.append({"path": path, "dvc_hash": dvc_hash, **counts, "quoted": _quoted(search)})
    return found, unread


def _search_verified(corpora: Corpora, corpus: dict[str, Any], probe: Probe) -> Search:
    """Search a corpus the entry was trained on, and check its bytes against the SHA-256 in the manifest."""
    search = _search(corpora, corpus, probe.pattern)
    if corpus.get("sha256") not in (None, search.sha256):
        raise Damaged(
            f"corpus {short(search.dvc_hash)} has SHA-256 {short(search.sha256)}, but the manifest says "
            f"{visible(short(str(corpus.get('sha256'))))}",
            "run `spine lineage REF --verify` to see both in full",
        )
    return search


def _search(corpora: Corpora, corpus: dict[str, Any], pattern: str) -> Search:
    return corpora.search(str(corpus.get("dvc_hash")), pattern, limit=_QUOTED, path=path_of(corpus))


def _quoted(search: Search) -> list[dict[str, Any]]:
    """The rows of a search for the evidence, with their file where the corpus is a directory."""
    return [{"row": r.number, "text": r.text, **({"file": r.file} if r.file else {})} for r in search.shown]
