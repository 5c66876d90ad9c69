"""JSON for a terminal: the same data, written so that no character of it can act on the terminal.

It knows characters, and nothing of what the data means.
"""

from __future__ import annotations

import re

_UNSAFE = re.compile(
    "[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)


def escape_unsafe(json_text: str) -> str:
    r"""JSON text in which every character that a terminal could obey or a reader not see is a ``\u`` escape."""
    return json_text if json_text.isascii() and "\x7f" not in json_text else _UNSAFE.sub(_escape, json_text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000  # JSON writes a character above U+FFFF as two UTF-16 surrogates
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
