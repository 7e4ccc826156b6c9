"""The report of a sweep, made from the records of its jobs: ``table.csv``, ``table.md`` and plots."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from infer.errors import UsageError
from infer.files import replaced_whole
from infer.plots.style import drawing
from infer.records.names import TABLE_CSV, TABLE_MD
from infer.records.rows import Rows, side_by_side
from infer.records.runs import sweep_jobs
from infer.records.sweeps import read_sweep
from infer.records.table import tabulate_rows
from infer.tables import Report, as_csv, as_markdown, from_here
from infer.words import launch_command, shell_line


def report_sweep(folder: Path) -> Report:
    """Write the table and the plots of the sweep in ``folder``; the table is for printing, with its exit code.

    The code is 1 when a job is not done. Raises UsageError when there are no jobs.
    """
    rows = side_by_side(sweep_jobs(folder))
    if not rows.runs:
        raise UsageError(f"{folder} is not the folder of a sweep. List all runs and the jobs of sweeps: infer ls")
    table = replace(tabulate_rows(rows), title=_command(folder), code=int(len(rows.done) < len(rows.runs)))
    rebuild = f"made again by: infer report {shell_line([str(from_here(folder))])}"
    on_paper = as_markdown(replace(table, closing=[*table.closing, rebuild]))
    _write(folder / TABLE_CSV, as_csv(table))
    _write(folder / TABLE_MD, on_paper)
    pictures = _draw(rows, folder) if rows.done else []
    _write(folder / TABLE_MD, on_paper + _embedded(pictures))
    files = ", ".join([TABLE_MD, TABLE_CSV, *pictures])
    return replace(table, closing=[*table.closing, f"in {from_here(folder)}: {files}", rebuild])


def _command(folder: Path) -> str | None:
    """The command that was typed; None for a sweep of an earlier version, which did not write it down."""
    record = read_sweep(folder)
    return launch_command(record.words) if record else None


def _draw(rows: Rows, folder: Path) -> list[str]:
    with drawing():
        from infer.plots.sweep import draw  # matplotlib takes a second to import

        return draw(rows, folder)


def _embedded(pictures: Sequence[str]) -> str:
    return "".join(f"\n![{Path(name).stem.replace('_', ' ')}]({name})\n" for name in pictures)


def _write(path: Path, text: str) -> None:
    with replaced_whole(path, "w") as file:
        file.write(text)
