"""Length-prefixed messages over a pipe: four bytes of length, then that many bytes of MessagePack.

Every wait can have a timeout, because the other process may hang, send a wrong length or exit. This module does
not decode the messages.
"""

from __future__ import annotations

import os
import select
import time

MOST_BYTES = 4 << 20
"""A message that announces more bytes is rejected before it is read."""
_LENGTH = 4


class Broken(Exception):
    """The other process has exited, is too slow, or sent something that is not a message."""


def send(fd: int, message: bytes, seconds: float | None) -> None:
    """Write one message to a non-blocking descriptor within ``seconds`` (None: no limit).

    Raises:
        Broken: the other process has exited or does not read in time.
    """
    deadline = _deadline(seconds)
    left = memoryview(len(message).to_bytes(_LENGTH, "little") + message)
    while left:
        _wait(fd, select.POLLOUT, deadline)
        try:
            left = left[os.write(fd, left) :]
        except BlockingIOError:  # another thread filled the pipe after poll() found room: wait again
            continue
        except OSError as error:
            raise Broken("the process has exited") from error


def receive(fd: int, seconds: float | None) -> bytes | None:
    """Read one message within ``seconds``; None if the other process closed the pipe between two messages.

    Raises:
        Broken: the pipe closed inside a message, the wait timed out, or the length exceeds ``MOST_BYTES``.
    """
    deadline = _deadline(seconds)
    head = _read(fd, _LENGTH, deadline)
    if not head:
        return None
    length = int.from_bytes(head, "little")
    if len(head) < _LENGTH or length > MOST_BYTES:
        raise Broken("the process sent an invalid message")
    body = _read(fd, length, deadline)
    if len(body) < length:
        raise Broken("the process exited in the middle of a message")
    return body


def _read(fd: int, count: int, deadline: float | None) -> bytes:
    """Read exactly ``count`` bytes; fewer only if the other process closed the pipe."""
    got = bytearray()
    while len(got) < count:
        _wait(fd, select.POLLIN, deadline)
        try:
            part = os.read(fd, count - len(got))
        except BlockingIOError:
            continue
        except OSError as error:
            raise Broken("the process has exited") from error
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
        raise Broken("the process did not answer in time")
