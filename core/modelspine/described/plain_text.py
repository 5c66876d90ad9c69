"""Texts that spell the same value: a table has no types, so programs write one value in several ways.

It does not know of columns or workloads.
"""

from __future__ import annotations

import re

_WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]{0,14}))\.0+")
_TRUTHS = frozenset(("True", "TRUE", "False", "FALSE"))


def plain(text: str) -> str:
    """A text as the value that it spells: ``1.0`` is 1, and ``True`` is true.

    pandas writes a column of whole numbers with a decimal point as soon as one cell is empty, and yes and no with a
    capital; a request sends them as JSON does. Other texts, such as 007 or 1.10, stay as they are.
    """
    if text in _TRUTHS:
        return text.lower()
    if (whole := _WHOLE.fullmatch(text)) is None:
        return text
    return whole[1] if whole[1] != "-0" else "0"
