"""Simulated learners: who writes which sentence and when, derived from a seed.

Sentences are distributed like the training corpora. On a weekend a share of them are plans for it, in the future tense
and in frames that the first two corpora do not contain. This module sends nothing.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate
from typing import Final

import msgspec

from minitutor import corpus, parse
from minitutor.corpus import Row

LEARNERS: Final = 120
_FEEDBACK_SHARE: Final = 0.2
_FEWER: Final = 4
"""The pool of sentences has this fraction of the rows of the corpus it is modelled on."""
_HOURS: Final = (0, 0, 0, 0, 0, 0, 1, 3, 6, 8, 7, 5, 4, 5, 6, 7, 8, 9, 9, 8, 6, 4, 2, 1)
"""Relative traffic of each hour of a day, UTC."""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One sentence of one learner."""

    request_id: str
    learner: str
    sentence: str
    correction: str
    says: str
    """The learner's feedback on an answer; "" for none."""
    at: str = ""
    """Simulated time, RFC 3339; "" for now."""

    def outcome(self, *, passed: bool) -> str:
        """Return the feedback; a learner who gives any dismisses an answer that accepted a wrong sentence."""
        return "dismissed" if passed and self.says else self.says


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """The traffic to generate."""

    n: int
    seed: int
    day: date | None = None
    """The simulated day; None for now."""
    weekend: float = 0.0
    """Share of the sentences that are plans for the weekend."""
    asking: str = ""
    """A sentence to include in the middle, with feedback."""


def asks(traffic: Traffic) -> list[Ask]:
    """Return the sentences of a seed, sorted by time."""
    n, seed = traffic.n, traffic.seed
    draw = random.Random(f"minitutor.learners|{seed}|{traffic.day}")  # noqa: S311 - not secret
    usual, plans = _pool(seed, weekend=False), _pool(seed, weekend=True) if traffic.weekend else []
    name = f"{traffic.day:%m%d}" if traffic.day else "live"
    made = []
    for at in range(n):
        pool = plans if draw.random() < traffic.weekend else usual
        row = pool[int(draw.random() * len(pool))]
        asked = bool(traffic.asking) and at == n // 2
        speaks = draw.random() < _FEEDBACK_SHARE or asked
        sentence = traffic.asking if asked else row.text
        ask = Ask(
            request_id=f"req-{name}-{seed}-{at:05d}-{int(draw.random() * 16**6):06x}",
            # The power makes the first learners more active: a tenth of them send about a fifth of the sentences.
            learner=f"learner-{int(LEARNERS * draw.random() ** 1.5):03d}",
            sentence=sentence,
            correction=parse.oracle(sentence) or sentence,
            says=("accepted" if len(sentence) % 4 else "revised") if speaks else "",
            at=_moment(traffic.day, (at + draw.random()) / n) if traffic.day else "",
        )
        made.append(ask)
    return made


def _pool(seed: int, *, weekend: bool) -> Sequence[Row]:
    """Return the pool of sentences: distributed like the training corpus, with other words."""
    like = corpus.V3 if weekend else corpus.V2
    sizes = tuple(msgspec.structs.replace(size, per_cell=size.per_cell // _FEWER) for size in like.sizes)
    return corpus.rows(
        msgspec.structs.replace(
            like,
            prefix=f"learners{seed}",
            per_cell=like.per_cell if weekend else like.per_cell // _FEWER,
            sizes=sizes,
            onto=None,
            as_written=False,
        )
    )


def _moment(day: date, share: float) -> str:
    """Return the time by which this share of a day's sentences has arrived, following ``_HOURS``."""
    busy = list(accumulate(_HOURS))
    due = share * busy[-1]
    hour = bisect(busy, due)
    within = (due - busy[hour] + _HOURS[hour]) / _HOURS[hour]
    moment = datetime.combine(day, time(hour), UTC) + timedelta(hours=within)
    return moment.isoformat(timespec="microseconds")
