"""Speeds of kinds of work without records, from timed steps within a time limit."""

import time
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from infer.costs.rate import Rate
from infer.costs.timing import Timings
from infer.work import Passes, Work

_LIMIT_PER_KIND_S = 8.0
"""Time limit in seconds for timing steps of one kind of passes on whole images, and for all smaller sizes together."""
_HASTY_LIMIT_S = 0.7
"""Time limit in seconds for timing all kinds of passes, where ``hasty``."""


class Stopwatch:
    """Times kinds of work, within a total time limit where ``hasty``.

    With progressive resizing, steps are timed for each size of images, since small images take more time than their
    share of the pixels. Sizes for which no time is left are interpolated.
    """

    def __init__(self, timings: Timings, hasty: bool) -> None:
        self._timings, self._hasty = timings, hasty
        self._seconds_left = _HASTY_LIMIT_S

    def rate(self, works: Sequence[Work]) -> Rate | None:
        """Speed of ``works`` of one kind; None where there is no time to measure it."""
        networks = [(by_size, dict[int, float]()) for by_size in _through_one_network(works)]
        for by_size, timed in networks:  # whole images first: without them nothing is known
            self._begin()
            self._time(by_size, max(by_size), timed)
            if not timed:
                return None
        for by_size, timed in networks:
            self._begin()
            for size in sorted(by_size.keys() - timed.keys()):  # most epochs show the smallest
                self._time(by_size, size, timed)
        seconds = sum(
            _on_line(size, timed) * passes.images
            for by_size, timed in networks
            for size, several in by_size.items()
            for passes in several
        )
        return Rate(seconds / sum(work.units for work in works), "timed steps")

    def _begin(self) -> None:
        """Start a new time limit, unless there is one for everything."""
        if not self._hasty:
            self._seconds_left = _LIMIT_PER_KIND_S

    def _time(self, by_size: Mapping[int, Sequence[Passes]], size: int, timed: dict[int, float]) -> None:
        """Add the seconds per image of ``size`` to ``timed``, if they are known or there is time to measure them."""
        passes = by_size[size][0]
        seconds = self._timings.known(passes)
        if seconds is None and self._seconds_left > 0:
            started = time.perf_counter()
            seconds = self._timings.time(passes, self._seconds_left, self._hasty)
            self._seconds_left -= time.perf_counter() - started
        if seconds is not None:
            timed[size] = seconds


def _through_one_network(works: Iterable[Work]) -> Iterable[Mapping[int, Sequence[Passes]]]:
    """Groups of passes of ``works`` that differ only in the number and the size of images, each by that size."""
    found: dict[str, dict[int, list[Passes]]] = {}
    for passes in (passes for work in works for passes in work.passes if passes.images):
        found.setdefault(passes.whole.kind, {}).setdefault(passes.size, []).append(passes)
    return found.values()


def _on_line(size: int, timed: Mapping[int, float]) -> float:
    """Seconds per image of ``size`` x ``size`` pixels, interpolated linearly in the number of pixels.

    Below the smallest of the ``timed`` sizes it is proportional to the number of pixels.
    """
    sides = sorted(timed)
    return float(np.interp(size**2, [0, *(side**2 for side in sides)], [0.0, *(timed[side] for side in sides)]))
