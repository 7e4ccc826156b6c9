"""Terminal output: lines and tables, with a copy in the run's log file."""

import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console as RichConsole
from rich.table import Table

_LOG_WIDTH = 140


class _Answer(RichConsole):
    """Output of a command that answers a question: its reader may leave before the end, see ``printing``."""

    def on_broken_pipe(self) -> None:
        """Leave it to the caller: rich would end the process with exit code 1."""
        raise


class Console:
    """Writes to the terminal and, once ``log_to`` was called, to a log file as well."""

    def __init__(self, brief: bool = False, answers: bool = False) -> None:
        """A ``brief`` one shows headlines, warnings and progress on the terminal; the rest is for its log file.

        One that ``answers`` raises BrokenPipeError where its reader is gone; any other ends the process.
        """
        terminal = _Answer if answers else RichConsole
        self._terminal = terminal(highlight=False, soft_wrap=True, width=_plain_width())
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

    @property
    def interactive(self) -> RichConsole | None:
        """The terminal that bars can be drawn on; None where the output goes elsewhere."""
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
    """Exit code of ``work``, whose output is out then; 0 when its reader, ``head`` for example, has seen enough."""
    try:
        code = work() or 0
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


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
