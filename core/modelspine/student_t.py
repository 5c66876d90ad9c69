"""The p-value of Student's t, computed without SciPy, which takes a second to import and is not in the base install."""

from __future__ import annotations

import math


def student_t_p(t: float, freedom: float) -> float:
    """Two-sided p-value of Student's t with ``freedom`` degrees of freedom.

    It is the regularised incomplete beta function I_x(freedom/2, 1/2) at x = freedom/(freedom + t²). SciPy has this
    function too, but is 143 MB; implementing it keeps the traffic report within the base install.
    """
    a, b, square = freedom / 2, 0.5, t * t
    x, rest = freedom / (freedom + square), square / (freedom + square)
    if rest == 0.0 or x == 0.0:
        return 1.0 if rest == 0.0 else 0.0
    log_power = -a * math.log1p(square / freedom) + b * math.log(rest)
    ratio = math.lgamma(a + b) - math.lgamma(a)
    if a > 100:  # subtracting two large log-gammas cancels digits; the asymptotic series of the ratio keeps them
        ratio = 0.5 * math.log(a) - 1 / (8 * a) + 1 / (192 * a**3) - 1 / (640 * a**5)
    front = math.exp(ratio - math.lgamma(b) + log_power)
    if x < (a + 1) / (a + b + 2):  # the fraction converges fast only on this side of the mean; else use symmetry
        return front * _beta_fraction(a, b, x) / a
    return 1.0 - front * _beta_fraction(b, a, rest) / b


def _beta_fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function, by the modified Lentz method."""
    c, d = 1.0, 1.0 / (1.0 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 10_000):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            # A zero denominator is replaced by a tiny number, as the method prescribes.
            d = 1.0 / ((1.0 + term * d) or 1e-300)
            c = (1.0 + term / c) or 1e-300
            value *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return value
