"""Signals that ask the program to end: obeyed immediately or, where work can be saved first, after the current step."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

PATIENCE_S = 10.0
"""Seconds that a step may take after a signal, before the program ends in the middle of the step."""

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class Terminated(KeyboardInterrupt):
    """Request to end by a signal, for example from a batch system."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


class Interruption:
    """Signal that asks this process to end, from its arrival until it is obeyed."""

    def __init__(self) -> None:
        self._number: int | None = None
        self._depth = 0
        self._before: dict[int, Any] = {}
        self._clock: threading.Timer | None = None
        self._patience_is_over = False

    @property
    def has_come(self) -> bool:
        """True if a signal is pending."""
        return self._number is not None

    def handle_signals(self) -> None:
        """Install handlers, by which signals end the program like Ctrl-C.

        Signals that are ignored (``nohup``) stay ignored. Handlers that were installed before (that of submitit, for
        example, which queues the job again in SLURM) are called when the signal is obeyed.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        for number in SIGNALS:
            before = signal.getsignal(number)
            if before not in (self._receive, signal.SIG_IGN, None):
                self._before[number] = before
                signal.signal(number, self._receive)

    @contextlib.contextmanager
    def deferred(self) -> Iterator["Interruption"]:
        """Context in which signals wait until the work inside checks ``has_come`` and calls ``obey``."""
        self._depth += 1
        try:
            yield self
        finally:
            self._depth -= 1
            if self._depth == 0:
                self.obey()

    def obey(self, frame: FrameType | None = None) -> None:
        """End as a pending signal asks: call its earlier handler, or raise KeyboardInterrupt where there is none."""
        if self._number is None:
            return
        number, self._number, self._patience_is_over = self._number, None, False
        if self._clock is not None:
            self._clock.cancel()
        before = self._before.get(number)
        if callable(before):
            before(number, frame)
        else:
            raise Terminated(number)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        """Handler of all signals.

        While a signal is pending, others are ignored, since a closing terminal sends two; a second Ctrl-C is obeyed.
        """
        is_first = self._number is None
        at_once = self._depth == 0 or self._patience_is_over or number == self._number == signal.SIGINT
        if is_first:
            self._number = number
        if at_once:
            self.obey(frame)
        elif is_first:
            self._clock = threading.Timer(PATIENCE_S, self._lose_patience, (number,))
            self._clock.daemon = True
            self._clock.start()

    def _lose_patience(self, number: int) -> None:
        """Interrupt the main thread within its step. It is called in another thread."""
        self._patience_is_over = True
        os.kill(os.getpid(), number)


interruption = Interruption()
"""The interruption of this process."""
