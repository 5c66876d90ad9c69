"""Signals from outside: ends that give the terminal back, and stops after which everything is drawn again.

Textual's own handlers draw nothing after a stop, and start a second reader of keys when the process was stopped by a
signal that no program can catch. It knows no screen.
"""

from __future__ import annotations

import asyncio
import os
import signal

from modelspine_console.draw.changed_cells import ThriftyApp

_ENDS = (signal.SIGTERM, signal.SIGHUP)


class Signals:
    """Handles the signals in the app's own event loop, where nothing else runs at the same time."""

    def __init__(self, app: ThriftyApp) -> None:
        self._app = app
        self._resumed = False
        """True after a stop that was seen coming, until the signal that ended it has been handled."""

    def begin(self) -> None:
        """Handle signals from now on; a console without a terminal of its own leaves them alone."""
        if self._app.is_headless:
            return
        loop = asyncio.get_running_loop()
        for number in _ENDS:
            loop.add_signal_handler(number, self._end, number)
        if not self._app.is_web:
            loop.add_signal_handler(signal.SIGTSTP, self._stop)
            loop.add_signal_handler(signal.SIGCONT, self._go_on)

    def suspend(self) -> None:
        """Stop as other programs do on ctrl+z, together with the programs that were started for it by the shell."""
        if not self._app.is_web and not self._app.is_headless:
            os.killpg(os.getpgrp(), signal.SIGTSTP)  # this process gets it too, and then stops in order

    def _end(self, number: signal.Signals) -> None:
        """Quit as on a key, so that the terminal is restored; the exit code is 128 plus the signal."""
        self._app.exit(128 + number, return_code=128 + number)

    def _stop(self) -> None:
        """Give the terminal back and stop; on return take the terminal again and draw everything."""
        with self._app.suspend():
            # The default action, and not SIGSTOP, because the kernel drops it where no shell could continue us.
            handler = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            signal.raise_signal(signal.SIGTSTP)
            signal.signal(signal.SIGTSTP, handler)
            signal.siginterrupt(signal.SIGTSTP, False)
        self._resumed = True
        self._app.repaint()

    def _go_on(self) -> None:
        """Take the terminal again after a stop that could not be seen coming, such as SIGSTOP."""
        seen, self._resumed = self._resumed, False
        if seen:
            return
        # Another program may have changed the modes of the terminal meanwhile. If this process was continued in the
        # background, the system stops it here again, and it goes on from here once it is in the foreground.
        with self._app.suspend():
            pass
        self._app.repaint()
