"""A process that runs foreign code on behalf of this one: started with a request, read line by line, killed at the end.

A model is foreign code of unknown speed and manners: a thread cannot be stopped, and it sees everything that this
process holds. The module does not know what is asked.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from selectors import EVENT_READ, DefaultSelector
from tempfile import TemporaryFile

import msgspec

from modelspine.errors import BadInput, Damaged, Refused, SpineError, Unavailable
from modelspine.settings import masked

Lines = Callable[[float], list[bytes]]
"""Waits so many seconds at most for the next lines of the process."""
# Broad on purpose: a variable that is missing gives a clear error, one that is left shows a secret to foreign code.
_SECRET_NAME = re.compile(
    r"^SPINE_|KEY|TOKEN(?!IZER)|SECRET|PASS|CREDENTIAL|AUTH|PRIVATE|NETRC|_PWD$|(^|_)PATS?($|_)|JWT|COOKIE|SESSION_ID|"
    r"CONNECTION_?STR|DSN$|WEBHOOK|(^|_)SAS($|_)|(^|_)PEM($|_)|KUBECONFIG",
    re.IGNORECASE,
)
# A key in PEM, as it is or in base64; tokens of GitHub, GitLab, Slack, Hugging Face, AWS and OpenAI; a JSON Web Token;
# a password among the words of a connection.
_SECRET_VALUE = re.compile(
    r"PRIVATE KEY-----|LS0tLS1CRUdJTi|\bgh[opsur]_\w{20}|\bgithub_pat_\w{20}|\bglpat-[\w-]{20}|\bxox[abeprs]-\w{6}|"
    r"\bhf_\w{20}|\bAKIA[0-9A-Z]{16}|\bsk-[\w-]{20}|\beyJ[\w-]{10,}\.[\w-]{10,}\.|\b(password|passwd|pwd|secret|token|"
    r"(account|access)_?key)\s*[=:]",
    re.IGNORECASE | re.ASCII,
)


class Failure(msgspec.Struct):
    """An error of the process, for its parent to raise."""

    kind: str
    message: str
    hint: str

    @classmethod
    def of(cls, error: SpineError) -> Failure:
        """The failure that stands for an error."""
        return cls(type(error).__name__, error.message, error.hint)

    def exception(self) -> SpineError:
        """The error to raise."""
        known = {kind.__name__: kind for kind in (BadInput, Damaged, Refused, Unavailable)}
        return known.get(self.kind, Unavailable)(self.message, self.hint)


@contextmanager
def child_process(module: str, request: bytes, environ: Mapping[str, str], what: str) -> Iterator[Lines]:
    """Start a module as a process with a request on its stdin; it is killed at the end.

    Args:
        module: the module, run with the code that this process uses.
        request: what the process reads from stdin.
        environ: its environment; the path of modules is added.
        what: the process in words, for an error.

    Raises:
        Unavailable: it cannot be started, or ended by itself.
    """
    # Not by multiprocessing, which needs a true stderr, and a console has none. -P keeps the working directory out of
    # the search for modules. What a library prints there would be drawn over this process's table or screen.
    command = [sys.executable, "-P", "-m", module]
    environ = same_code(environ)
    with TemporaryFile() as asked, DefaultSelector() as selector:
        asked.write(request)
        asked.seek(0)
        try:
            process = subprocess.Popen(
                command, stdin=asked, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environ
            )
        except OSError as error:
            raise Unavailable(f"no process could be started: {error.strerror}", "is there enough memory?") from error
        assert process.stdout is not None
        told = process.stdout.fileno()
        selector.register(told, EVENT_READ)
        left = b""

        def lines(seconds: float) -> list[bytes]:
            nonlocal left
            if not selector.select(seconds):
                return []
            some = os.read(told, 1 << 20)
            if not some:
                raise ended(what)
            *whole, left = (left + some).split(b"\n")
            return whole

        try:
            yield lines
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def same_code(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment in which a process finds the same modules as this one."""
    return {**environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def own_request() -> tuple[bytes, Callable[[bytes], None]]:
    """In the process: what it is asked for, and the function that sends a line to its parent.

    Whatever foreign code prints goes nowhere, so that it cannot be taken for an answer.
    """
    told = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)

    def tell(line: bytes) -> None:
        with os.fdopen(os.dup(told), "wb") as stream:
            stream.write(line + b"\n")

    return sys.stdin.buffer.read(), tell


def ended(what: str) -> Unavailable:
    """The error of a process that ended by itself."""
    return Unavailable(f"{what} ended by itself", "is there enough memory? then repeat it")


def secrets_in(environ: Mapping[str, str]) -> list[str]:
    """The names of variables that may hold a secret: by their name, by what they hold, or by a password in a URL."""
    return [
        name
        for name, value in environ.items()
        if _SECRET_NAME.search(name) or _SECRET_VALUE.search(value) or ("://" in value and masked(value) != value)
    ]


def without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment without the variables that may hold a secret."""
    left_out = set(secrets_in(environ))
    return {name: value for name, value in environ.items() if name not in left_out}
