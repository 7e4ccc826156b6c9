"""Display of progress: bars on an interactive terminal, plain lines elsewhere."""

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable

from rich.console import Console as Terminal
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

from infer.console import Console, duration
from infer.progress.meter import Meter

_PLAIN_INTERVAL_S = 30
ARTEFACTS = "artefacts"
"""Unit for which no rate is displayed, since artefacts take very different times."""
_SHOWN_AFTER_S = 0.5
"""Seconds after which the bar of a meter is displayed; bars of shorter work would only flicker."""

RunLeft = Callable[[], float | None]
"""Function that returns the remaining seconds of the whole run; None where they are not known."""


class View(ABC):
    """Display of the meters of a run. Meters are nested: the one that was opened last is closed first."""

    @abstractmethod
    def opened(self, meter: Meter) -> None:
        """Start the display of ``meter``."""

    @abstractmethod
    def changed(self, meter: Meter) -> None:
        """Display the new count of ``meter``."""

    @abstractmethod
    def closed(self, meter: Meter) -> None:
        """End the display of ``meter``."""


class Lines(View):
    """A line about the innermost loop every half minute."""

    def __init__(self, console: Console, run_left: RunLeft) -> None:
        self._console, self._run_left = console, run_left
        self._last_line = time.monotonic()

    def opened(self, meter: Meter) -> None:
        """Print nothing, since the loop may be short."""

    def changed(self, meter: Meter) -> None:
        now = time.monotonic()
        if now - self._last_line >= _PLAIN_INTERVAL_S and meter.done < meter.total:
            self._last_line = now
            self._console.say("  " + described(meter, self._run_left()))

    def closed(self, meter: Meter) -> None:
        """Print nothing."""


class Bars(View):
    """Bars below each other, displayed until the outermost meter is closed."""

    def __init__(self, terminal: Terminal, run_left: RunLeft) -> None:
        self._run_left = run_left
        self._tasks: dict[Meter, TaskID] = {}
        self._bars = Progress(
            TextColumn("  {task.description}", table_column=Column(no_wrap=True, min_width=12)),
            BarColumn(bar_width=20, table_column=Column(min_width=4)),
            TextColumn("{task.fields[count]}", table_column=Column(no_wrap=True, min_width=46)),
            console=terminal,
            transient=True,
        )

    def opened(self, meter: Meter) -> None:
        if not self._tasks:
            self._bars.start()
        self._tasks[meter] = self._bars.add_task(meter.description, total=meter.total, visible=False, count="")

    def changed(self, meter: Meter) -> None:
        if time.monotonic() - meter.started < _SHOWN_AFTER_S:
            return
        outermost = next(iter(self._tasks))
        if meter is not outermost:
            self._show(meter, None)
        self._show(outermost, self._run_left())

    def closed(self, meter: Meter) -> None:
        with contextlib.suppress(OSError):  # the error of a closed terminal must not replace that of the work
            self._bars.remove_task(self._tasks.pop(meter))
            if not self._tasks:
                self._bars.stop()

    def _show(self, meter: Meter, run_left: float | None) -> None:
        self._bars.update(self._tasks[meter], completed=meter.done, visible=True, count=counted(meter, run_left))


def described(meter: Meter, run_left: float | None) -> str:
    """Line about ``meter``, such as "squeeze resnet8  640/23000 images, 450 images/s, 50 s left, run 3 min left"."""
    return f"{meter.description}  {counted(meter, run_left)}"


def counted(meter: Meter, run_left: float | None) -> str:
    """Count, rate and remaining times of ``meter`` as text."""
    parts = [f"{meter.done}/{meter.total} {meter.unit}"]
    if meter.unit != ARTEFACTS and meter.rate is not None and meter.left is not None:
        parts += [speed(meter.rate, meter.unit), f"{duration(meter.left)} left"]
    if run_left is not None:
        parts.append(f"run {duration(run_left)} left")
    return ", ".join([*parts, meter.note] if meter.note else parts)


def speed(rate: float, unit: str) -> str:
    """Units per second or, for slow work, time per unit, as text: "4,500 images/s", "2.5 s per step"."""
    if rate < 0.5:
        return f"{duration(1 / rate)} per {unit.removesuffix('s')}"
    return f"{rate:,.0f} {unit}/s" if rate >= 10 else f"{rate:.1f} {unit}/s"
