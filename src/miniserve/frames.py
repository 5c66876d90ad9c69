"""Messages over a pipe: a length of four bytes, then that many bytes of MessagePack.

Every wait has an end: the other side may hang, lie about a length, or be gone. It does not know what a
message says.
"""

from __future__ import annotations

import os
import select
import time

MOST_BYTES = 4 << 20
"""A longer message is refused before it is read."""
_LENGTH = 4


class Broken(Exception):
    """The other side is gone, too slow, or sends what is no message."""


def send(fd: int, message: bytes, seconds: float | None) -> None:
    """Write one message to a non-blocking descriptor within ``seconds`` (None: for as long as it takes).

    Raises:
        Broken: the other side is gone or does not read.
    """
    deadline = _deadline(seconds)
    left = memoryview(len(message).to_bytes(_LENGTH, "little") + message)
    while left:
        _wait(fd, select.POLLOUT, deadline)
        try:
            left = left[os.write(fd, left) :]
        except BlockingIOError:
            continue
        except OSError as error:
            raise Broken("it is gone") from error


def receive(fd: int, seconds: float | None) -> bytes | None:
    """Read one message within ``seconds``; None where the other side closed between two messages.

    Raises:
        Broken: it closed inside a message, is too slow, or announces more than ``MOST_BYTES``.
    """
    deadline = _deadline(seconds)
    head = _read(fd, _LENGTH, deadline)
    if not head:
        return None
    length = int.from_bytes(head, "little")
    if len(head) < _LENGTH or length > MOST_BYTES:
        raise Broken("it sends what is no message")
    body = _read(fd, length, deadline)
    if len(body) < length:
        raise Broken("it ended inside a message")
    return body


def _read(fd: int, count: int, deadline: float | None) -> bytes:
    """Exactly ``count`` bytes, fewer only where the other side closed."""
    got = bytearray()
    while len(got) < count:
        _wait(fd, select.POLLIN, deadline)
        try:
            part = os.read(fd, count - len(got))
        except BlockingIOError:
            continue
        except OSError as error:
            raise Broken("it is gone") from error
        if not part:
            break
        got += part
    return bytes(got)


def _deadline(seconds: float | None) -> float | None:
    return None if seconds is None else time.monotonic() + seconds


def _wait(fd: int, event: int, deadline: float | None) -> None:
    poll = select.poll()
    poll.register(fd, event)
    left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
    if not poll.poll(left):
        raise Broken("it did not answer in time")
