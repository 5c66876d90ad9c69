"""Numbers of foreign results as exact fractions, within the integers that every reader of JSON has."""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, Literal

from modelspine.canonical_json import MAX_INTEGER
from modelspine.errors import BadInput
from modelspine.gate.eval_report import Score
from modelspine.text import visible

_PLACES = 12
"""Decimal places of a number that are kept; further ones are noise of binary fractions."""
_LONGEST = 60
"""Characters of a number; a double has at most 25."""
_CLOSE = Fraction(1, 10**9)
"""How far a share times n may be from a whole number, in items per item: the error of a double, with room."""


def exact(value: Any, where: str) -> Fraction:
    """A number as a fraction; of a double, the decimal number that it is written as.

    Raises:
        BadInput: it is no finite number.
    """
    try:
        text = "" if isinstance(value, bool) else str(value).strip()
        number = Decimal(text) if len(text) <= _LONGEST else None
    except InvalidOperation:
        number = None
    # The exponent is limited before the fraction is built, which would have as many digits.
    if number is None or not number.is_finite() or abs(number.adjusted()) > 15:
        if number is not None and number.is_finite() and number.adjusted() < 0:
            return Fraction(0)  # closer to 0 than any measure is exact
        raise BadInput(f"{where} is {visible(repr(value), 40)}, not a number that can be compared", "give a number")
    return Fraction(number)


def fraction_score(
    num: Fraction, den: Fraction, *, better: Literal["higher", "lower"], scale: Literal["rate", "value"]
) -> Score:
    """The score ``num`` / ``den``, not reduced where both are whole numbers that JSON can carry.

    Raises:
        BadInput: it is too large.
    """
    whole = num.denominator == den.denominator == 1
    if whole and max(abs(num), den) <= MAX_INTEGER:
        return Score(num=int(num), den=int(den), better=better, scale=scale)
    found = num / den
    places = _PLACES
    while places and abs(found) * 10**places > MAX_INTEGER:
        places -= 1
    if abs(found) * 10**places > MAX_INTEGER:
        raise BadInput(f"a score is {float(found):g}, too large for a report", "give it in a larger unit")
    shown = Fraction(round(found * 10**places), 10**places)
    return Score(num=shown.numerator, den=shown.denominator, better=better, scale=scale)


def items_right(share: Fraction, n: int, where: str) -> int:
    """How many of ``n`` items a share is, such as 0.95 of 100; a share that was rounded still names one number.

    Raises:
        BadInput: the share is outside 0 … 1, or it does not say how many items were right.
    """
    if not 0 <= share <= 1:
        raise BadInput(
            f"{where} is {float(share):g}, which is no share between 0 and 1",
            "divide it by 100 if it is in per cent, or give a file with a line for each item",
        )
    nearest = round(share * n)
    if abs(share * n - nearest) <= _CLOSE * n:
        return nearest
    # A decimal with d places was rounded by at most half of its last place.
    places = next(places for places in range(_LONGEST + 20) if 10**places % share.denominator == 0)
    slack = Fraction(n, 2 * 10**places)
    low, high = math.ceil(share * n - slack), math.floor(share * n + slack)
    if low != high:
        raise BadInput(
            f"{where} is {float(share):g} of {n:,} items, which is no whole number of items",
            "give it with more decimal places, or give a file with a line for each item",
        )
    return low
