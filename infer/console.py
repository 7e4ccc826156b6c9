"""Output of lines and tables to the terminal, with a copy in the run's log file."""

import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console as RichConsole
from rich.table import Table

_LOG_WIDTH = 140


class _Answer(RichConsole):
    """Terminal output of a command that only prints, whose reader may close the pipe before the end."""

    def on_broken_pipe(self) -> None:
        """Raise the BrokenPipeError again; rich would end the process with exit code 1."""
        raise


class Console:
    """Output to the terminal and, once ``log_to`` was called, to a log file."""

    def __init__(self, brief: bool = False, answers: bool = False) -> None:
        """``brief``: show only headlines, warnings and progress on the terminal; the log file gets everything.

        ``answers``: raise BrokenPipeError where the reader has closed the pipe; otherwise the process ends.
        """
        terminal = _Answer if answers else RichConsole
        self._terminal = terminal(highlight=False, soft_wrap=True, width=_plain_width())
        self._sinks = [] if brief else [self._terminal]

    def log_to(self, path: Path) -> None:
        """Write all further output to ``path`` too, and print log messages of this package on this console."""
        file = path.open("a", encoding="utf-8", buffering=1)
        self._sinks.append(RichConsole(file=file, width=_LOG_WIDTH, highlight=False, soft_wrap=True))
        handler = _ToConsole(self)
        logger = logging.getLogger("infer")
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)

    def headline(self, text: str, style: str | None = None) -> None:
        """Print a line, also on a brief console."""
        for sink in dict.fromkeys([self._terminal, *self._sinks]):
            sink.print(text, style=style, markup=False)

    def say(self, text: str = "", style: str | None = None) -> None:
        """Print a line; a brief console writes it to its log file only."""
        for sink in self._sinks:
            sink.print(text, style=style, markup=False)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], title: str | None = None) -> None:
        """Print a table with the first column left-aligned and the others right-aligned."""
        table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
        for position, column in enumerate(columns):
            table.add_column(column, justify="right" if position else "left")
        for row in rows:
            table.add_row(*row)
        for sink in self._sinks:
            sink.print(table, markup=False, crop=False)

    @property
    def interactive(self) -> RichConsole | None:
        """The terminal, if bars can be drawn on it; None where the output is redirected."""
        return self._terminal if self._terminal.is_terminal else None


class _ToConsole(logging.Handler):
    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.WARNING:
            self._console.say(record.getMessage())
        else:
            self._console.headline(f"{record.levelname.lower()}: {record.getMessage()}", style="yellow")


def printing(work: Callable[[], int | None]) -> int:
    """Run ``work``, flush its output, and return its exit code; 0 where the reader, such as ``head``, has stopped."""
    try:
        code = work() or 0
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _plain_width() -> int | None:
    """Width of output that does not go to a terminal, enough for every table; None for the width of the terminal."""
    return None if sys.stdout.isatty() else _LOG_WIDTH


def duration(seconds: float) -> str:
    """``seconds`` as text, such as "8.0 s", "3 min 20 s" or "2 h 5 min"."""
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def size(num_bytes: float) -> str:
    """``num_bytes`` as text with a decimal unit, as in the plots, such as "812 B", "12.3 kB" or "1.4 MB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if num_bytes < 1000 or unit == "GB":
            return f"{num_bytes:.0f} {unit}" if unit == "B" else f"{num_bytes:.1f} {unit}"
        num_bytes /= 1000
    return ""
