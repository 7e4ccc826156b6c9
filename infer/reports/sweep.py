"""Report of a sweep from the records of its jobs: ``report.html``, ``table.csv``, ``table.md`` and plots."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from infer.errors import UsageError
from infer.files import replaced_whole
from infer.plots.style import drawing
from infer.records.effects import EFFECTS_HEAD, EFFECTS_NOTE, effects_of
from infer.records.folders import sweep_jobs
from infer.records.measurements import best_of
from infer.records.names import FIGURES, REPORT, TABLE_CSV, TABLE_MD
from infer.records.rows import Rows, side_by_side, swept_keys
from infer.records.run import NO_FAULTS
from infer.records.scale import costs_in_words
from infer.records.sweeps import read_sweep
from infer.records.table import tabulate_rows
from infer.reports.page import picture, render
from infer.tables import Report, as_csv, as_markdown, from_here
from infer.words import launch_command, shell_line


def report_sweep(folder: Path) -> Report:
    """Write the report of the sweep in ``folder``, and return the table to print, with the exit code.

    The exit code is 1 where a job is not done, unless a search has ended it early or ``infer rm`` has moved it to the
    trash. Raises UsageError where there are no jobs.
    """
    rows = side_by_side(sweep_jobs(folder))
    if not rows.runs:
        raise UsageError(f"{folder} is not the folder of a sweep. List all runs and the jobs of sweeps: infer ls")
    table = replace(
        tabulate_rows(rows), title=_command(folder), code=int(any(run.state not in NO_FAULTS for run in rows.runs))
    )
    costs = costs_in_words(rows.runs)
    table = replace(table, closing=[*table.closing, *([costs] if costs else [])])
    effects = effects_of(rows)
    steps = [EFFECTS_HEAD, *(f"  {line}" for line in effects)] if effects else []
    rebuild = f"made again by: infer report {shell_line([str(from_here(folder))])}"
    on_paper = as_markdown(replace(table, closing=[*table.closing, *steps, rebuild]))
    _write(folder / TABLE_CSV, as_csv(table))
    _write(folder / TABLE_MD, on_paper)
    pictures = _draw(rows, folder) if rows.done else []
    _write(folder / TABLE_MD, on_paper + _embedded(pictures))
    _write(folder / REPORT, _page(rows, folder, table, effects, pictures))
    files = ", ".join([REPORT, TABLE_MD, TABLE_CSV, *pictures])
    return replace(table, closing=[*table.closing, *steps, f"in {from_here(folder)}: {files}", rebuild])


def _page(rows: Rows, folder: Path, table: Report, effects: Sequence[str], pictures: Sequence[str]) -> str:
    best = best_of(rows)
    drawn = [picture(folder, Path(name).stem, FIGURES, Path(name).stem.replace("_", " ")) for name in pictures]
    return render(
        "sweep.html.j2",
        title=f"Sweep over {', '.join(swept_keys(rows.runs) or rows.columns)}",
        name=folder.resolve().name,
        folder=str(from_here(folder)),
        report=replace(table, closing=[line for line in table.closing if line != best]),
        best=best,
        effects=effects,
        effects_note=EFFECTS_NOTE,
        links={
            name: f"{run.folder.name}/{REPORT}"
            for name, run in zip(rows.names, rows.runs, strict=True)
            if (run.folder / REPORT).is_file()
        },
        pictures=[each for each in drawn if each],
        command=table.title or "",
    )


def _command(folder: Path) -> str | None:
    """The command that started the sweep; None for a sweep of an earlier version, which did not record it."""
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
