"""Length-prefixed messages over a stream: four bytes of length, then that many bytes of MessagePack.

The other side may send anything, so a length is checked before its bytes are kept. This module neither reads from a
socket nor decodes the messages.
"""

from __future__ import annotations

MOST_BYTES = 64 << 20
"""A message that announces more bytes is rejected: more than the largest batch of the longest texts needs."""
_LENGTH = 4


class Broken(Exception):
    """The other side sent something that is not a message."""


def framed(message: bytes) -> bytes:
    """Return a message with its length in front."""
    return len(message).to_bytes(_LENGTH, "little") + message


class Frames:
    """The messages in the bytes that arrive from one stream."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Add bytes and return the messages that are now complete.

        Raises:
            Broken: a message announces more than ``MOST_BYTES``.
        """
        self._buffer += data
        found = []
        while len(self._buffer) >= _LENGTH:
            end = _LENGTH + int.from_bytes(self._buffer[:_LENGTH], "little")
            if end > MOST_BYTES:
                raise Broken("the process sent an invalid message")
            if len(self._buffer) < end:
                break
            found.append(bytes(self._buffer[_LENGTH:end]))
            del self._buffer[:end]
        return found
