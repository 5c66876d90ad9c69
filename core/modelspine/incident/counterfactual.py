"""What users would have been told, had another entry answered: stored texts put to two entries, now.

The texts come from the traces of a span of time. Each distinct text is put once to both entries, from bytes that
are hashed first, in worker processes; nothing is written to the traces. It does not know why two entries are
compared, and moves no traffic.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import msgspec

from miniobserve.reader import TraceReader
from miniobserve.traces import Trace
from modelspine.errors import BadInput, SpineError, Unavailable
from modelspine.project import Project
from modelspine.text import counted, visible
from modelspine.workload import Model, Workload, grade, load_workload, workload_errors

Progress = Callable[[int, int], None]
"""Called with how many of the texts both entries have answered, and how many there are."""

_PAGE = 2_000
_BATCH = 64
"""Texts a worker answers at a time: enough to make the batch worth its message, few enough to show progress."""
_FEW = 256
"""Up to so many texts are answered in this process: starting workers would take longer."""
_EXAMPLES = 3


class Reply(NamedTuple):
    """One entry's answer to a text."""

    output: str
    accepted: bool
    """Whether it passed the text as already right."""
    right: bool | None
    """None where the workload cannot tell."""


class Mistake(msgspec.Struct, frozen=True, kw_only=True):
    """Wrong texts of one kind that one entry would have passed as right, and the other would not."""

    label: str
    """What those texts are about, in the workload's words."""
    requests: int
    users: int
    """Distinct users; a request without a user counts as one."""
    examples: tuple[str, ...]


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """What one of the two entries would have done alone, over all requests that could be judged."""

    sha: str
    right: int
    only_right: int
    """Requests that it answers right and the other one does not."""
    false_accepts: int
    """Requests with a wrong text that it passes as right."""
    mistakes: tuple[Mistake, ...]
    """Its false accepts that the other entry does not make, the most users first."""


class Counterfactual(msgspec.Struct, frozen=True, kw_only=True):
    """Two entries over the same stored requests."""

    since: str | None
    requests: int
    """Requests of users whose text was kept; copies for a shadow are not among them."""
    texts: int
    """Distinct texts among them."""
    without_text: int
    """Requests that could not be asked again, because their text was not kept."""
    ungraded: int
    """Requests for which the workload does not know the right answer."""
    differ: int
    """Requests to which the two give different outputs."""
    both_right: int
    neither: int
    a: Side
    b: Side


class Asked(NamedTuple):
    """The stored requests by text: how many there are, and who sent them."""

    requests: Counter[str]
    users: dict[str, set[str]]
    features: dict[str, dict[str, str]]
    without_text: int


def counterfactual(
    project: Project, a: str, b: str, *, since: str | None, progress: Progress, workers: int | None = None
) -> Counterfactual:
    """Put the stored texts to two entries.

    Args:
        project: whose traces, entries and workload these are.
        a: the full SHA of one entry.
        b: the full SHA of the other.
        since: the first day, ``YYYY-MM-DD`` in UTC; None for everything that is stored.
        progress: called while it goes on.
        workers: how many processes answer; None for one a core.

    Raises:
        BadInput: no stored request has a text.
        Unavailable, Damaged: an entry's bytes are not here or not what its SHA says; the workload fails.
    """
    asked = _asked(project.traces, since)
    if not asked.requests:
        kept = f"; {counted(asked.without_text, 'request')} kept no text" if asked.without_text else ""
        raise BadInput(
            f"there is no stored request to put to the two{kept}",
            "give an earlier --since; texts are kept where `text_policy` is full",
        )
    texts = sorted(asked.requests)
    folders = [(str(project.registry.verified(sha)), _parent(project, sha)) for sha in (a, b)]
    replies = _answered(project.settings.workload, folders, texts, progress, workers)
    return _summed(project.workload, (a, b), asked, dict(zip(texts, replies, strict=True)), since)


def sentence(found: Counterfactual, name_a: str, name_b: str) -> str:
    """The finding in one sentence, for the side whose mistakes reach more users."""
    worse, name, other = found.a, name_a, name_b
    if sum(m.users for m in found.b.mistakes) > sum(m.users for m in found.a.mistakes):
        worse, name, other = found.b, name_b, name_a
    if found.ungraded == found.requests:
        return "no answer could be judged: the workload does not know the right answers"
    if not worse.mistakes:
        return f"neither would have passed a wrong text as right that the other would not ({name_a}, {name_b})"
    first = worse.mistakes[0]
    more = len(worse.mistakes) - 1
    rest = f", and {counted(more, 'other kind')} of mistake" if more else ""
    return (
        f"had {name} answered instead of {other}, {counted(first.users, 'user')} would have been told "
        f"that {visible(first.label, 80)} is right{rest}"
    )


def _asked(reader: TraceReader, since: str | None) -> Asked:
    requests: Counter[str] = Counter()
    users: dict[str, set[str]] = {}
    features: dict[str, dict[str, str]] = {}
    without = 0
    for trace in _stored(reader, since):
        if trace.shadow_of is not None or not trace.is_evidence:
            continue
        if trace.sentence is None:
            without += 1
            continue
        requests[trace.sentence] += 1
        users.setdefault(trace.sentence, set()).add(trace.learner_hash or trace.request_id)
        features.setdefault(trace.sentence, trace.features)
    return Asked(requests, users, features, without)


def _stored(reader: TraceReader, since: str | None) -> Iterator[Trace]:
    """Every trace, newest first, down to the first moment of a day."""
    from miniobserve.daily import day_range

    first = day_range(since)[0] if since is not None else -1
    before: int | None = None
    while True:
        page = reader.list(limit=_PAGE, before_ns=before).traces
        for trace in page:
            if trace.started_ns < first:
                return
            yield trace
        if len(page) < _PAGE:
            return
        before = page[-1].started_ns


def _parent(project: Project, sha: str) -> str | None:
    folder = project.registry.parent_folder(sha)
    return str(folder) if folder is not None else None


def _answered(
    workload: str,
    folders: Sequence[tuple[str, str | None]],
    texts: Sequence[str],
    progress: Progress,
    workers: int | None,
) -> list[tuple[Reply, Reply]]:
    batches = [texts[start : start + _BATCH] for start in range(0, len(texts), _BATCH)]
    replies: list[tuple[Reply, Reply]] = []
    count = min(workers or os.cpu_count() or 1, len(batches))
    answer = partial(_answer, workload, tuple(folders))
    if len(texts) <= _FEW or count == 1:
        for some in map(answer, batches):
            replies += some
            progress(len(replies), len(texts))
        return replies
    # Spawned, not forked: the parent has threads (MLflow, the console), which a fork would copy in any state.
    with ProcessPoolExecutor(count, get_context("spawn")) as pool:
        try:
            for some in pool.map(answer, batches):
                replies += some
                progress(len(replies), len(texts))
        except BrokenProcessPool as error:
            raise Unavailable(
                "a process that asks the two entries ended by itself", "is there enough memory? then repeat the command"
            ) from error
    return replies


@lru_cache(maxsize=1)
def _loaded(workload: str, folders: tuple[tuple[str, str | None], ...]) -> tuple[Workload, list[Model]]:
    """The workload and its two models, loaded by the first batch of a process, so that an error reaches the caller."""
    made = load_workload(workload)
    with workload_errors(made.name):
        return made, [made.load(Path(folder), Path(parent) if parent else None) for folder, parent in folders]


def _answer(
    workload: str, folders: tuple[tuple[str, str | None], ...], texts: Sequence[str]
) -> list[tuple[Reply, Reply]]:
    made, models = _loaded(workload, folders)
    with workload_errors(made.name):
        both = [model.answer(list(texts)) for model in models]
    return [
        (
            Reply(one.output, one.accepted, grade(made, text, one.output)),
            Reply(two.output, two.accepted, grade(made, text, two.output)),
        )
        for text, one, two in zip(texts, *both, strict=True)
    ]


def _summed(
    workload: Workload, shas: tuple[str, str], asked: Asked, replies: dict[str, tuple[Reply, Reply]], since: str | None
) -> Counterfactual:
    graded = {text: pair for text, pair in replies.items() if None not in (pair[0].right, pair[1].right)}

    def requests(wanted: Callable[[Reply, Reply], object]) -> int:
        return sum(asked.requests[text] for text, pair in graded.items() if wanted(*pair))

    total = sum(asked.requests.values())
    return Counterfactual(
        since=since,
        requests=total,
        texts=len(replies),
        without_text=asked.without_text,
        ungraded=total - sum(asked.requests[text] for text in graded),
        differ=sum(asked.requests[text] for text, (one, two) in replies.items() if one.output != two.output),
        both_right=requests(lambda one, two: one.right and two.right),
        neither=requests(lambda one, two: not one.right and not two.right),
        a=_side(workload, shas[0], asked, graded),
        b=_side(workload, shas[1], asked, {text: (two, one) for text, (one, two) in graded.items()}),
    )


def _side(workload: Workload, sha: str, asked: Asked, graded: dict[str, tuple[Reply, Reply]]) -> Side:
    wrong = {text: pair for text, pair in graded.items() if pair[0].accepted and not pair[0].right}
    by_label: dict[str, list[str]] = {}
    for text, (_, other) in wrong.items():
        if not (other.accepted and not other.right):
            by_label.setdefault(_label(workload, text, asked.features[text]), []).append(text)
    mistakes = [
        Mistake(
            label=label,
            requests=sum(asked.requests[text] for text in texts),
            users=len(set().union(*(asked.users[text] for text in texts))),
            examples=tuple(sorted(texts, key=lambda text: -asked.requests[text])[:_EXAMPLES]),
        )
        for label, texts in by_label.items()
    ]
    return Side(
        sha=sha,
        right=sum(asked.requests[text] for text, (own, _) in graded.items() if own.right),
        only_right=sum(asked.requests[text] for text, (own, other) in graded.items() if own.right and not other.right),
        false_accepts=sum(asked.requests[text] for text in wrong),
        mistakes=tuple(sorted(mistakes, key=lambda one: (-one.users, one.label))),
    )


def _label(workload: Workload, text: str, features: dict[str, str]) -> str:
    """What a text is about: the mistake in it, where the workload names one; else the text itself."""
    try:
        with workload_errors(workload.name):
            probe = workload.probe(text, features)
    except SpineError:
        probe = None
    named = (getattr(probe, "against_label", "") or probe.label) if probe is not None else ""
    return named or f"“{visible(text, 60)}”"
