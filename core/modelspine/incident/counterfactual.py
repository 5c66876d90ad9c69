"""What users would have been told, had another entry answered: stored texts put to two entries, now.

The texts come from the traces of a span of time. Each distinct text is put once to both entries, from bytes that
are hashed first; nothing is written to the traces. It does not know why two entries are compared, and moves no traffic.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from modelspine.answering import Progress, Replies, Reply, answered, answered_within
from modelspine.errors import SpineError
from modelspine.identity.private_copies import PrivateCopies
from modelspine.incident.stored_requests import RECENT, Asked, stored_requests
from modelspine.ledger.store import storage_errors
from modelspine.project import Project
from modelspine.text import counted, short, visible
from modelspine.words import words
from modelspine.workload import Workload, plugin_of, workload_errors

_SECONDS = 20.0
"""How long a preview may take to answer the requests that ``stored_requests.RECENT`` bounds."""
_EXAMPLES = 3


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
    unasked: int = 0
    """Requests that were read and not put to the two, because the time for a preview was over."""
    older: bool = False
    """Whether there are older requests that a preview did not read."""


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What a change of production would mean for recent traffic, as far as that can be found out in a short time."""

    target: str
    production: str | None
    sentence: str
    """The finding in one line, or *not checked* with the reason."""
    found: Counterfactual | None = None
    """``a`` is the target, ``b`` is production; None where nothing was checked."""


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
    asked = stored_requests(project.traces, since)
    texts = asked.texts()
    with PrivateCopies() as copies:
        folders = _folders(copies, project, a, b)
        replies = answered(plugin_of(project.settings.workload), folders, texts, progress, workers)
    return _summed(project.workload, (a, b), asked, dict(zip(texts, replies, strict=True)), since)


def preview(project: Project, ref: str, progress: Progress) -> Preview:
    """What production and an entry would say to the newest requests, in a bounded time and in a process of its own.

    It never prevents the change that it is about: what cannot be found out is *not checked*, with the reason.

    Raises:
        UnknownRef, AmbiguousRef: no or several entries have that name.
    """
    state = project.registry.state()
    sha, production = state.resolve(ref), state.production
    if production is None or production == sha:
        why = "it is in production already" if production else "nothing is in production"
        return Preview(target=sha, production=production, sentence=f"not checked: {why}")
    try:
        with storage_errors():
            asked = stored_requests(project.traces, None, RECENT)
            texts = asked.texts()
            with PrivateCopies() as copies:
                folders = _folders(copies, project, sha, production)
                replies = answered_within(_SECONDS, plugin_of(project.settings.workload), folders, texts, progress)
            pairs = dict(zip(texts, replies, strict=False))
            found = _summed(project.workload, (sha, production), asked, pairs, None)
    except SpineError as error:
        return Preview(target=sha, production=production, sentence=f"not checked: {error.message}")
    names = ((state.entries[each].semvers or [short(each)])[-1] for each in (sha, production))
    return Preview(target=sha, production=production, sentence=_in_short(found, *names), found=found)


def _in_short(found: Counterfactual, target: str, production: str) -> str:
    """What a preview found: whom the worse one of the two would mislead, and how many answers would be right."""
    judged = found.requests - found.ungraded
    newest = "the newest " if found.older or found.unasked else ""
    right = f"; right answers to {newest}{counted(judged, 'request')}: {found.b.right:,} → {found.a.right:,}"
    kept = f"; {counted(found.without_text, 'request')} kept no text" if found.without_text else ""
    return f"{sentence(found, target, production)}{right if judged else ''}{kept}"


def sentence(found: Counterfactual, name_a: str, name_b: str) -> str:
    """The finding in one sentence, for the side whose mistakes reach more users."""
    worse, name, other = found.a, name_a, name_b
    if sum(m.users for m in found.b.mistakes) > sum(m.users for m in found.a.mistakes):
        worse, name, other = found.b, name_b, name_a
    if found.ungraded == found.requests:
        return (
            f"the workload does not know the right answer to any of these requests; the two give different answers to "
            f"{found.differ:,} of {found.requests:,}"
        )
    if not worse.mistakes:
        return f"neither would have passed a wrong text as right that the other would not ({name_a}, {name_b})"
    first = worse.mistakes[0]
    more = len(worse.mistakes) - 1
    rest = f", and {counted(more, 'other kind')} of mistake" if more else ""
    return (
        f"had {name} answered instead of {other}, {words().count_units(first.users)} would have been told "
        f"that {visible(first.label, 80)} is right{rest}"
    )


def basis(found: Counterfactual) -> str:
    """What the finding rests on, and what was left out."""
    newest = "the newest " if found.older or found.unasked else ""
    since = f" since {found.since}" if found.since else ""
    parts = [f"{newest}{counted(found.requests, 'request')}{since} with {counted(found.texts, 'distinct text')}"]
    parts.append(f"different answers to {found.differ:,}")
    if found.without_text:
        parts.append(f"left out: {counted(found.without_text, 'request')} whose text was not kept")
    if found.ungraded:
        parts.append(f"not judged: {counted(found.ungraded, 'request')} whose right answer the workload does not know")
    if found.unasked:
        parts.append(f"not asked for lack of time: {counted(found.unasked, 'request')}")
    return "; ".join(parts)


def _folders(copies: PrivateCopies, project: Project, *shas: str) -> list[tuple[str, str | None]]:
    """A private copy of each entry's bundle, and of its parent's."""
    pairs = [copies.both(project.registry, sha) for sha in shas]
    return [(str(folder), str(parent) if parent is not None else None) for folder, parent in pairs]


def _summed(
    workload: Workload, shas: tuple[str, str], asked: Asked, given: dict[str, Replies], since: str | None
) -> Counterfactual:
    replies = {text: (given[text][0], given[text][1]) for text in sorted(given)}
    graded = {text: pair for text, pair in replies.items() if None not in (pair[0].right, pair[1].right)}

    def requests(wanted: Callable[[Reply, Reply], object]) -> int:
        return sum(asked.requests[text] for text, pair in graded.items() if wanted(*pair))

    total = sum(asked.requests[text] for text in replies)
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
        unasked=sum(asked.requests.values()) - total,
        older=asked.older,
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
