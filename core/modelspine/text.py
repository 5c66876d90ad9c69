"""Text made safe to display, and numbers formatted for people.

Characters that a terminal would interpret, or that a reader could not see, are replaced by visible marks. It does
not know markup or widgets: the console escapes those itself. Machine-readable output is never passed through here.
"""

from __future__ import annotations

import re
import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Characters of other categories that also render as nothing: fillers, the grapheme joiner, variation selectors and the
# blank Braille pattern.
_BLANK = frozenset((0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2800, 0x3164, 0xFFA0))
_BLANK |= frozenset(range(0xFE00, 0xFE10)) | frozenset(range(0xE0100, 0xE01F0))
# Real orthographies stack up to four marks on one letter; longer runs ("zalgo") spill over neighbouring lines.
_MAX_COMBINING = 4
_DELETE = 0x7F
# Scripts and signs without combining or blank characters: printable ones among them are shown as they are. Nearly every
# text of a screen is made of these alone, and looking at each of its characters would take most of the drawing time.
_PLAIN = re.compile("[ -~\u00a1-\u02ff\u2010-\u20cf\u2100-\u27ff\u2801-\u2bff]*")


def visible(s: str, limit: int = 200) -> str:
    """``s`` with every control, bidi, zero-width, tag, unassigned or otherwise invisible character replaced by a mark.

    C0 controls and DEL become their control pictures (␛, ␊), every other one ‹U+202E›. A combining character
    stays only after another character, up to four in a row. The result has at most ``limit`` characters; a cut
    is shown by ``…`` and never falls inside a mark. The function is idempotent.
    """
    if len(s) <= limit and s.isprintable() and _PLAIN.fullmatch(s):
        return s
    # Only limit + 1 characters are looked at, so that a huge hostile string costs no more than a short one.
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
    while shown and length > limit - 1:  # one character is reserved for the ellipsis
        length -= len(shown.pop())
    return "".join(shown) + "…" if limit > 0 else ""


def short(sha: str) -> str:
    """The first twelve digits of a digest, safe to display."""
    return visible(sha[:12], 12)


def counted(number: int, noun: str) -> str:
    """A number with its noun, in the plural if needed: ``1 learner``, ``1,204 learners``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size(count: int) -> str:
    """A number of bytes in decimal units: ``512 B``, ``1.5 MB``."""
    if count < 1000:
        return f"{count} B"
    amount = count / 1000
    for unit in ("KB", "MB"):
        if amount < 1000:
            return f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def argument(text: str, flag: str = "") -> str:
    """A text quoted as the last argument of a command line to paste, never mistaken for a flag.

    With ``flag`` the result is that flag followed by the text as its value.
    """
    import shlex

    # argparse reads a value that starts with "-" as another flag unless it is attached by "=" or follows "--".
    dash = text.startswith("-")
    if flag:
        return f"{flag}{'=' if dash else ' '}{shlex.quote(text)}"
    return f"-- {shlex.quote(text)}" if dash else shlex.quote(text)


def _is_hidden(char: str) -> bool:
    return unicodedata.category(char) in _HIDDEN or ord(char) in _BLANK


def _mark(char: str) -> str:
    code = ord(char)
    if code < 0x20:
        return chr(0x2400 + code)  # the control picture of a C0 code stands at this offset
    return "␡" if code == _DELETE else f"‹U+{code:04X}›"


def cell_width(text: str) -> int:
    """The number of terminal columns a text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)
