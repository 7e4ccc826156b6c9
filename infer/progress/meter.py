"""Count of the finished units of a loop, with its rate and remaining time."""

import time
from collections.abc import Callable

UPDATE_INTERVAL_S = 0.1
"""Seconds between two updates of the display, so that counting costs no time."""


class Meter:
    """Counter of images, steps or other units; ``advance_to`` may be called at every step of a loop."""

    def __init__(
        self,
        description: str,
        total: int,
        unit: str,
        stage: str = "",
        signature: str = "",
        on_change: Callable[["Meter"], None] = lambda meter: None,
    ) -> None:
        """``stage`` and ``signature`` are those of the artefact that the loop makes.

        ``on_change`` is called at most ten times a second.
        """
        self.description, self.total, self.unit = description, total, unit
        self.stage, self.signature = stage, signature
        self.done = 0
        self.note = ""
        self.started = self._seen = time.monotonic()
        self._reference: tuple[int, float] | None = None
        self._next_look = 0.0
        self._on_change = on_change

    def advance_to(self, done: int, note: str | None = None) -> None:
        """Set the count to ``done`` finished units; ``note`` is displayed beside it from now on."""
        self.done = done
        if note is not None:
            self.note = note
        now = time.monotonic()
        self._seen = now
        if self._reference is None:
            # The rate is measured from the first count, which may be that of resumed work, since a first step is slow.
            self._reference = (0, self.started) if done == 1 else (done, now)
        if now >= self._next_look or done == self.total:
            self._next_look = now + UPDATE_INTERVAL_S
            self._on_change(self)

    @property
    def rate(self) -> float | None:
        """Units per second; None while it is not known."""
        if self._reference is None:
            return None
        before, then = self._reference
        return (self.done - before) / (self._seen - then) if self.done > before and self._seen > then else None

    @property
    def left(self) -> float | None:
        """Seconds until ``total`` is reached; None while they are not known."""
        rate = self.rate
        return None if rate is None else (self.total - self.done) / rate
