"""Text made safe to look at: what a terminal could obey or a reader could not see becomes a mark.

It does not know markup or widgets; the console adds that on its side. Data that machines read stays raw.
"""

from __future__ import annotations

import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Characters of other categories that show nothing: fillers, the grapheme joiner, variation selectors, a blank pattern.
_BLANK = frozenset((0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2800, 0x3164, 0xFFA0))
_BLANK |= frozenset(range(0xFE00, 0xFE10)) | frozenset(range(0xE0100, 0xE01F0))
_MAX_COMBINING = 4
_DELETE = 0x7F


def visible(s: str, limit: int = 200) -> str:
    """``s`` with every control, bidi, zero-width, tag, unassigned or otherwise invisible character as a mark.

    C0 and DEL become their control pictures (␛, ␊), all else ‹U+202E›; a combining character stays only
    behind another, up to four in a row. The result has at most ``limit`` characters, a cut shown by ``…``,
    never inside a mark. Applying it twice changes nothing.
    """
    if len(s) <= limit and s.isascii() and s.isprintable():
        return s
    shown: list[str] = []
    length = combining = 0
    before = False
    for char in s[: max(limit, 0) + 1]:
        combining = combining + 1 if unicodedata.combining(char) or unicodedata.category(char) in {"Mn", "Me"} else 0
        piece = _mark(char) if _is_hidden(char) or combining > (_MAX_COMBINING if before else 0) else char
        shown.append(piece)
        length += len(piece)
        before = True
    if length <= limit:
        return "".join(shown)
    while shown and length > limit - 1:
        length -= len(shown.pop())
    return "".join(shown) + "…" if limit > 0 else ""


def short(sha: str) -> str:
    """The first twelve digits of a digest, as people see it."""
    return visible(sha[:12], 12)


def counted(number: int, noun: str) -> str:
    """``1 learner``, ``1,204 learners``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size(count: int) -> str:
    """Bytes as people read them."""
    amount = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    raise AssertionError("unreachable")


def argument(text: str, flag: str = "") -> str:
    """A text as the end of a command line that somebody pastes: quoted, and no flag though it starts with ``-``.

    With ``flag`` it is that flag's value.
    """
    import shlex

    dash = text.startswith("-")
    if flag:
        return f"{flag}{'=' if dash else ' '}{shlex.quote(text)}"
    return f"-- {shlex.quote(text)}" if dash else shlex.quote(text)


def _is_hidden(char: str) -> bool:
    return unicodedata.category(char) in _HIDDEN or ord(char) in _BLANK


def _mark(char: str) -> str:
    code = ord(char)
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == _DELETE else f"‹U+{code:04X}›"


def cell_width(text: str) -> int:
    """Columns a text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)
