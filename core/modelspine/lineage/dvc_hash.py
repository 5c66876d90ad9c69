"""The hash that DVC gives to a file: MD5 of its bytes or, in DVC 2, of its text with LF line ends.

Only the standard library is needed, because the process that searches rows has nothing else. It does not know files.
"""

from __future__ import annotations

import hashlib

_CHUNK = 2**20
"""DVC replaces line ends chunk by chunk, so a CR and LF on two sides of a border stay as they are."""
_BLOCK = 512
_TEXT = bytes(range(32, 127)) + b"\n\r\t\f\b"
_MOST_OTHER = 0.3


class Digest:
    """The MD5, by the rule of DVC 3 or that of DVC 2 (``legacy``), and the SHA-256 of bytes given in pieces."""

    def __init__(self, *, legacy: bool = False) -> None:
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)
        # DVC 2 itself looked at the first block to tell text from other files, DVC 3 does so in each chunk.
        self._by_first = hashlib.md5(usedforsecurity=False) if legacy else None
        self._pending = bytearray()
        self._first: bool | None = None

    def update(self, raw: bytes) -> None:
        """Take the next bytes."""
        self._sha256.update(raw)
        if self._by_first is None:
            self._md5.update(raw)
            return
        self._pending += raw
        while len(self._pending) >= _CHUNK:
            self._chunk(bytes(self._pending[:_CHUNK]))
            del self._pending[:_CHUNK]

    def md5(self, expected: str = "") -> str:
        """The MD5 of all bytes; of the two that DVC 2 may have recorded the ``expected`` one, if it is one of them.

        No more bytes can be given afterwards.
        """
        if self._by_first is None:
            return self._md5.hexdigest()
        if self._pending:
            self._chunk(bytes(self._pending))
            self._pending.clear()
        found = (self._md5.hexdigest(), self._by_first.hexdigest())
        return expected if expected in found else found[0]

    def sha256(self) -> str:
        """The SHA-256 of all bytes as they are."""
        return self._sha256.hexdigest()

    def _chunk(self, raw: bytes) -> None:
        text = is_text(raw[:_BLOCK])
        self._first = text if self._first is None else self._first
        replaced = raw.replace(b"\r\n", b"\n")
        self._md5.update(replaced if text else raw)
        if self._by_first is not None:
            self._by_first.update(replaced if self._first else raw)


def is_text(block: bytes) -> bool:
    """Whether DVC takes a file's first bytes for text: no NUL, and at most 30 % that are not ASCII text."""
    if not block:
        return True
    return b"\0" not in block and len(block.translate(None, _TEXT)) / len(block) <= _MOST_OTHER
