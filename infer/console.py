"""Terminal output: lines, tables and progress bars, with a copy in the run's log file."""

import logging
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from rich.console import Console as RichConsole
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

_PLAIN_INTERVAL_S = 15
_LOG_WIDTH = 140


class Console:
    """Writes to the terminal and, once ``log_to`` was called, to a log file as well."""

    def __init__(self, brief: bool = False) -> None:
        """A ``brief`` one shows headlines, warnings and progress on the terminal; the rest is for its log file."""
        self._terminal = RichConsole(highlight=False, soft_wrap=True, width=_plain_width())
        self._sinks = [] if brief else [self._terminal]

    def log_to(self, path: Path) -> None:
        """From now on write everything into ``path`` too, and route warnings of libraries through this console."""
        file = path.open("a", encoding="utf-8", buffering=1)
        self._sinks.append(RichConsole(file=file, width=_LOG_WIDTH, highlight=False, soft_wrap=True))
        handler = _ToConsole(self)
        logger = logging.getLogger("infer")
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)

    def headline(self, text: str, style: str | None = None) -> None:
        """Print one line that a brief console shows as well."""
        for sink in dict.fromkeys([self._terminal, *self._sinks]):
            sink.print(text, style=style, markup=False)

    def say(self, text: str = "", style: str | None = None) -> None:
        """Print one line."""
        for sink in self._sinks:
            sink.print(text, style=style, markup=False)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], title: str | None = None) -> None:
        """Print a table; the first column is flushed left, the others right."""
        table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
        for position, column in enumerate(columns):
            table.add_column(column, justify="right" if position else "left")
        for row in rows:
            table.add_row(*row)
        for sink in self._sinks:
            sink.print(table, markup=False, crop=False)

    @contextmanager
    def progress(self, description: str, total: int) -> Iterator["Ticker"]:
        """A bar with rate and remaining time on a terminal, a plain line every few seconds elsewhere."""
        if not self._terminal.is_terminal:
            yield _LineTicker(self, description, total)
            return
        with self._bars as bars:
            task = bars.add_task(description, total=total, note="")
            yield _BarTicker(bars, task)
            bars.remove_task(task)

    @cached_property
    def _bars(self) -> "_Bars":
        return _Bars(self._terminal)


class _Bars(Progress):
    """Bars one below the other; shown as long as the outermost piece of work lasts."""

    def __init__(self, terminal: RichConsole) -> None:
        super().__init__(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=terminal,
            transient=True,
        )
        self._depth = 0

    def __enter__(self) -> "_Bars":
        self._depth += 1
        if self._depth == 1:
            self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self.stop()


class Ticker(ABC):
    """Counts the finished steps of one piece of work."""

    @abstractmethod
    def advance_to(self, done: int, note: str = "") -> None:
        """Set the count to ``done`` finished steps; ``note`` is shown beside it."""


class _BarTicker(Ticker):
    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar, self._task = bar, task

    def advance_to(self, done: int, note: str = "") -> None:
        self._bar.update(self._task, completed=done, note=note)


class _LineTicker(Ticker):
    def __init__(self, console: Console, description: str, total: int) -> None:
        self._console, self._description, self._total = console, description, total
        self._started = self._last_line = time.monotonic()
        self._reference: tuple[int, float] | None = None
        """A count of steps and the time at which it was reached; the speed is measured from there."""

    def advance_to(self, done: int, note: str = "") -> None:
        now = time.monotonic()
        if self._reference is None:  # a first count above one may mean that the work was resumed in its middle
            self._reference = (0, self._started) if done == 1 else (done, now)
        if now - self._last_line < _PLAIN_INTERVAL_S:
            return
        self._last_line = now
        times = duration(now - self._started) + self._left(done, now, *self._reference)
        self._console.say(f"  {self._description}  {done}/{self._total}  {times}  {note}".rstrip())

    def _left(self, done: int, now: float, before: int, then: float) -> str:
        """The estimated remaining time, from the speed since ``before`` steps were done at ``then``; empty at first."""
        return f", {duration((now - then) / (done - before) * (self._total - done))} left" if done > before else ""


class _ToConsole(logging.Handler):
    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.WARNING:
            self._console.say(record.getMessage())
        else:
            self._console.headline(f"{record.levelname.lower()}: {record.getMessage()}", style="yellow")


def _plain_width() -> int | None:
    """Wide enough for every table where nobody's terminal sets a width; None: as wide as the terminal."""
    return None if sys.stdout.isatty() else _LOG_WIDTH


def duration(seconds: float) -> str:
    """``seconds`` as a person says it: 8 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def size(num_bytes: float) -> str:
    """A number of bytes with a decimal unit, as in the plots: 812 B, 12.3 kB, 1.4 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if num_bytes < 1000 or unit == "GB":
            return f"{num_bytes:.0f} {unit}" if unit == "B" else f"{num_bytes:.1f} {unit}"
        num_bytes /= 1000
    return ""
