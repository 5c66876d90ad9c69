"""Waits until what a server acknowledges is durable, and reports the server unready while nothing can be stored.

It does not know what is stored.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from miniobserve.sql.protocol import StorageError
from miniobserve.writer import TraceWriter
from miniserve.landing import Landing
from miniserve.replies import busy

DURABLE_SECONDS = 1.0
"""If a trace is not durable by then, the request gets 503 and the server reports itself unready."""
PROBE_SECONDS = 0.25
_log = logging.getLogger("miniserve")
_T = TypeVar("_T")


class Durable:
    """One server's writes to the trace store; used from one event loop."""

    def __init__(self, writer: TraceWriter) -> None:
        self._writer = writer
        self.write_error: str | None = None
        """Why the last write failed; None once one has succeeded again."""
        self._probing: asyncio.Task[None] | None = None
        self._landing: Landing | None = None

    async def _durable(self, write: Callable[[], Future[_T]], what: str) -> _T:
        """Wait for a write up to ``DURABLE_SECONDS``; after a failure the server is unready until a write succeeds.

        The reply to a failure names ``what`` could not be stored. A write may still succeed after the timeout. Such a
        trace without a reply does no harm, whereas a reply without a trace would break the promise that every answer
        can be investigated.
        """
        try:
            if self._landing is None:
                self._landing = Landing(asyncio.get_running_loop())
            return await self._landing.of(write, DURABLE_SECONDS)
        except TimeoutError as error:
            self._writes_failed(f"no commit within {DURABLE_SECONDS:.0f} s")
            raise busy("not_durable", f"{what} could not be stored in time") from error
        except StorageError as error:
            self._writes_failed(error.message)
            raise busy("not_durable", f"{what} could not be stored") from error

    def _writes_failed(self, reason: str) -> None:
        if self.write_error is None:
            _log.error("traces are not durable", extra={"fields": {"reason": reason}})
            self._probing = asyncio.get_running_loop().create_task(self._probe())
        self.write_error = reason

    async def _probe(self) -> None:
        """Retry a write until the store accepts one again."""
        while True:
            try:
                await asyncio.wrap_future(self._writer.probe())
            except StorageError as error:
                self.write_error = error.message
            except Exception as error:  # noqa: BLE001 -- the task must survive until a probe succeeds
                # No new probe starts while the last write error is set: if this one ended here, the server would
                # stay unready until a restart.
                reason = f"{type(error).__name__}: {error}"
                if reason != self.write_error:  # once and not four times a second
                    _log.exception("the probe of the trace store failed", extra={"fields": {"reason": reason}})
                self.write_error = reason
            else:
                self.write_error = None
                _log.info("traces are durable again")
                return
            await asyncio.sleep(PROBE_SECONDS)
