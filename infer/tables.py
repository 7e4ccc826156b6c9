"""Output of results as aligned text, Markdown, CSV or JSON.

Text is aligned here and not by rich, which takes more than a second for a thousand rows and breaks lines where the
output is not a terminal. Rich is used for bold type.
"""

import csv
import io
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infer.console import Console
from infer.words import visible

_PARTS = ("mean", "std", "n")


@dataclass(frozen=True)
class Section:
    """A table; the title of its first column names its subject."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: Collection[str] = ()
    """Columns that are right-aligned."""
    notes: Sequence[str] = ()
    """Sentences below the table."""


@dataclass(frozen=True)
class Report:
    """Result of a command: text for users, and ``data`` for programs."""

    data: Any
    """JSON-ready; a list of flat dictionaries where the command offers CSV."""
    sections: Sequence[Section] = ()
    lines: Sequence[str] = ()
    """Lines before the sections."""
    title: str | None = None
    """Title of the report, a command."""
    warning: str | None = None
    """Warning before the lines."""
    closing: Sequence[str] = ()
    """Lines after the sections."""
    code: int = 0
    """Exit code."""


def print_report(report: Report, form: str) -> None:
    """Print ``report`` as text, md, csv or json."""
    if form == "text":
        _show_text(report)
    else:
        print({"md": as_markdown, "csv": as_csv, "json": _json}[form](report), end="")


def shown(value: Any) -> str:
    """``value`` as text in the notation of settings: null, true, 0.001, [a,b]; a summary as ``mean ± std (n)``."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return f"[{','.join(map(shown, value))}]"
    if is_summary(value):
        return summary_as_text(value)
    return str(value)


def summary_as_text(summary: Mapping[str, Any], digits: int = 2) -> str:
    """``summary`` as text, ``mean ± std (n)``, with ``digits`` after the decimal point."""
    spread = "" if summary["std"] is None else f" ± {summary['std']:.{digits}f}"
    return f"{summary['mean']:.{digits}f}{spread} ({summary['n']})"


def or_dash(value: Any) -> str:
    """``value`` as text, a dash for None."""
    return "-" if value is None else shown(value)


def is_summary(value: Any) -> bool:
    """True if ``value`` is a summary of n measurements, as returned by ``infer.records.statistics``."""
    return isinstance(value, Mapping) and value.keys() >= set(_PARTS)


def is_number(value: Any) -> bool:
    """True if ``value`` is a number; False for booleans."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def count(things: Collection[Any], noun: str) -> str:
    """Number of ``things`` with their ``noun``, such as "1 run" or "2 runs"."""
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"


def from_here(path: Path) -> Path:
    """``path`` relative to the current folder if it is inside it, otherwise absolute."""
    absolute, here = path.resolve(), Path.cwd().resolve()
    return absolute.relative_to(here) if absolute.is_relative_to(here) else absolute


def _show_text(report: Report) -> None:
    console = Console(answers=True)

    def say(text: str = "", style: str | None = None) -> None:
        console.say("\n".join(map(visible, text.split("\n"))), style=style)

    if report.title:
        say(report.title, style="bold")
    if report.warning:
        say(report.warning, style="bold red")
    for line in report.lines:
        say(line)
    for position, section in enumerate(report.sections):
        if position or report.title or report.warning or report.lines:
            say()
        head, *body = aligned(section)
        say(head, style="bold")
        print("\n".join([*body, *(f"  {visible(note)}" for note in section.notes)]))
    if report.closing and (report.sections or report.lines):
        say()
    for line in report.closing:
        say(line)


def aligned(section: Section) -> list[str]:
    """Lines of the table ``section`` as text, beginning with the titles of columns."""
    table = [[visible(cell) for cell in row] for row in (section.columns, *section.rows)]
    widths = [max(map(len, cells)) for cells in zip(*table, strict=True)]
    right = [column in section.numeric for column in section.columns]
    return [
        "  ".join(
            cell.rjust(width) if flush else cell.ljust(width)
            for cell, width, flush in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in table
    ]


def as_markdown(report: Report) -> str:
    """``report`` as Markdown in GitHub's dialect."""
    parts = [f"# `{report.title}`"] if report.title else []
    parts += [f"**{_escaped(report.warning)}**"] if report.warning else []
    parts += map(_escaped, report.lines)
    for section in report.sections:
        rule = ["---:" if column in section.numeric else "---" for column in section.columns]
        rows = [
            map(_escaped, section.columns),
            rule,
            *([_escaped(cell.strip()) for cell in row] for row in section.rows),
        ]
        parts += ["\n".join(f"| {' | '.join(row)} |" for row in rows), *map(_escaped, section.notes)]
    return "\n\n".join([*parts, *map(_escaped, report.closing)]) + "\n"


def _escaped(text: str) -> str:
    """``text`` with characters that are special in Markdown escaped, such as a star or a <placeholder>."""
    return re.sub(r"([\\`*<|])", r"\\\1", text)


def as_csv(report: Report) -> str:
    """``report.data`` as CSV; a summary takes three columns, and missing values are empty."""
    keys = list(dict.fromkeys(key for row in report.data for key in row))
    summaries = {key for key in keys if any(is_summary(row.get(key)) for row in report.data)}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field for key in keys for field in _fields(key, key in summaries))
    for row in report.data:
        writer.writerow(value for key in keys for value in _values(row.get(key), key in summaries))
    return text.getvalue()


def _fields(key: str, summary: bool) -> list[str]:
    return [f"{key}_{part}" for part in _PARTS] if summary else [key]


def _values(value: Any, summary: bool) -> list[Any]:
    if summary:
        return [value and value[part] for part in _PARTS]
    return [shown(value) if isinstance(value, bool | list) else value]


def _json(report: Report) -> str:
    return json.dumps(report.data, indent=1, ensure_ascii=False) + "\n"
