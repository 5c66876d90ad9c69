"""Calls to MLflow that end: errors in Spine's own tree, and a server that does not answer is given up within seconds.

MLflow itself retries an unreachable server for minutes, and takes seconds to import. A server is therefore asked for
an answer before MLflow is imported, and each question about a record has a deadline. It does not know what is asked.
"""

from __future__ import annotations

import http.client
import os
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

from modelspine.errors import SpineError, Unavailable, UnknownRef
from modelspine.extras import missing_extra
from modelspine.settings import masked
from modelspine.text import visible

Asked = TypeVar("Asked")

SECONDS = 6.0
"""How long a server may take for one answer about a record; ``MLFLOW_HTTP_REQUEST_TIMEOUT`` makes it longer."""
_PAUSE = 0.5
"""Seconds before a failed question is repeated, once."""
_QUESTION = "/api/2.0/mlflow/experiments/search?max_results=1"
_MOST = 2**20
_HINT = "check the `mlflow` URL in `spine info`, and that its server is up"
_UNKNOWN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


def is_server(url: str) -> bool:
    """Whether a tracking URL is that of an MLflow server; its files are then on another machine."""
    return url.startswith(("http://", "https://"))


def check_alive(url: str) -> None:
    """Check that a server answers like one of MLflow, before seconds are spent on importing MLflow.

    Raises:
        Unavailable: it gives none.
    """
    if is_server(url):
        bounded(lambda: _knock(url), url)


def bounded(ask: Callable[[], Asked], url: str) -> Asked:
    """The result of a question to the store at ``url``; a server that does not answer in time is given up.

    Raises:
        Unavailable: there was no answer in time.
    """
    if not is_server(url):
        return ask()
    answers: list[Asked] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            answers.append(ask())
        except BaseException as error:  # noqa: BLE001  (raised again by the caller's thread)
            failures.append(error)

    # A daemon, because a socket that never ends must not keep the command from ending. The time-outs of sockets do not
    # bound a look-up of a name, several addresses, or a reply that comes byte by byte.
    thread = threading.Thread(target=run, daemon=True, name="mlflow-question")
    thread.start()
    seconds = patience(SECONDS)
    thread.join(seconds)
    if failures:
        raise failures[0]
    if not answers:
        raise Unavailable(
            f"MLflow's server at {visible(masked(url), 120)} did not answer within {seconds:g} s",
            f"{_HINT}; MLFLOW_HTTP_REQUEST_TIMEOUT=60 waits longer",
        )
    return answers[0]


def set_limits() -> None:
    """Bound MLflow's own retries and forbid what must not happen, unless the user's environment says otherwise."""
    for name, value in (
        ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1"),
        # A server could ask the client to come back in an hour, and MLflow would sleep until then.
        ("MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER", "false"),
        # Unpickling an artifact would execute code of whoever wrote it.
        ("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false"),
        ("MLFLOW_DISABLE_TELEMETRY", "true"),
        ("MLFLOW_LOGGING_LEVEL", "WARNING"),
        ("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false"),
        ("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true"),  # stdout belongs to the command
    ):
        os.environ.setdefault(name, value)


@contextmanager
def mapped(what: str) -> Iterator[None]:
    """Translate MLflow's exceptions into Spine's own; ``what`` names what is asked for, such as "run 4be1"."""
    try:
        yield
    except SpineError:
        raise
    except ImportError as error:
        if error.name in ("boto3", "botocore"):
            wrong = "MLflow needs boto3 for artifacts in S3: pip install 'modelspine[s3]'"
            raise Unavailable(wrong, "install it, then repeat the command") from error
        broken = Unavailable(f"MLflow cannot be imported: {visible(str(error))}", "install it again, then retry")
        raise missing_extra(error) or broken from error
    except Exception as error:
        text = visible(masked(str(error).splitlines()[0]) if str(error) else type(error).__name__, 160)
        if what and getattr(error, "error_code", "") in _UNKNOWN:
            raise UnknownRef(
                f"MLflow has no {visible(what, 120)}",
                "look it up in MLflow, or give a bundle's folder: `spine register PATH`",
            ) from error
        raise Unavailable(f"MLflow did not answer: {text}", _HINT) from error


def patience(seconds: float) -> float:
    """So many seconds, or as many as ``MLFLOW_HTTP_REQUEST_TIMEOUT`` says if those are more."""
    given = os.environ.get("MLFLOW_HTTP_REQUEST_TIMEOUT", "")
    return max(seconds, float(given)) if given.isascii() and given.isdigit() else seconds


def _knock(url: str) -> None:
    """Ask a server for one of its experiments, twice if it fails; a reply that MLflow can make sense of will do."""
    parts = urlsplit(url)
    # The password of a URL is not sent: a server that wants it says so, and that is an answer.
    plain = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}{_QUESTION}"
    opener = urllib.request.build_opener(_Unredirected)
    for last in (False, True):
        try:
            with opener.open(urllib.request.Request(plain), timeout=SECONDS) as reply:  # noqa: S310  (http or https)
                reply.read(_MOST)
            return
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500 and error.code != 404:
                return  # it wants a password, or sends us elsewhere: MLflow's client knows what to do
            why = f"it answers with the status {error.code}"
        except (OSError, http.client.HTTPException, ValueError) as error:
            if isinstance(getattr(error, "reason", error), ssl.SSLError):
                return  # MLflow may be set up to trust it; otherwise MLflow says so
            why = visible(str(getattr(error, "reason", error)) or type(error).__name__, 100)
        if last:
            raise Unavailable(f"MLflow did not answer at {visible(masked(url), 120)}: {why}", _HINT)
        time.sleep(_PAUSE)


class _Unredirected(urllib.request.HTTPRedirectHandler):
    """A redirection is an answer; where it leads is not followed."""

    def redirect_request(self, *_: Any) -> None:
        """Follow none."""
