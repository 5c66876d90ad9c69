"""The requests of a day that failed, and whether they are so many that the day is not stable.

Pure. It does not know why a request failed: the model, the machine, or what they need.
"""

from __future__ import annotations

import msgspec

from modelspine.drift.accuracy import DIGITS
from modelspine.drift.psi import compare, needed
from modelspine.drift.status import Status, status_of


class FailedRequests(msgspec.Struct, frozen=True, kw_only=True):
    """The failed requests of learners, those with a status of 500 or more, among all that an entry was to answer."""

    k: int
    n: int
    """``k`` of ``n`` requests failed; the other ``n`` − ``k`` were answered."""
    psi: float
    p: float
    status: Status
    needed: int
    """The minimum ``n`` for a status other than ``insufficient``."""

    @property
    def share(self) -> float:
        """The failed share, from 0 to 1."""
        return self.k / self.n

    @property
    def many(self) -> bool:
        """Whether so many failed that the day is not stable."""
        return self.status in ("watch", "act")


def judge_failed(k: int, n: int) -> FailedRequests | None:
    """Judge that ``k`` of ``n`` requests failed like a feature of two bins; None without a request.

    The reference is as many requests of which none failed, whatever the day is compared with: texts of a corpus cannot
    fail, and that another day failed as well makes neither of them stable.
    """
    if not n:
        return None
    shift = compare([n, 0], [n - k, k], apart=(0, 1))
    need = needed(2)
    return FailedRequests(
        k=k,
        n=n,
        psi=round(shift.psi, DIGITS),
        p=round(shift.p, DIGITS),
        status="insufficient" if n < need else status_of(shift.psi, shift.p),
        needed=need,
    )
