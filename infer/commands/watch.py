"""``infer watch``: follow running jobs by their files, until all have ended."""

import argparse
import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from infer.commands.parsing import RUN, Commands, add_command
from infer.console import Console, duration
from infer.progress.views import speed
from infer.records.find import pick_runs
from infer.records.folders import find_runs, is_sweep, sweep_jobs
from infer.records.run import LOST, NO_FAULTS, NOT_STARTED, RUNNING, Run
from infer.sweep.collecting import collect_if_ended
from infer.tables import Report, Section, aligned, count, print_report

_COLUMNS = ("job", "stage", "unit", "done", "rate", "left", "job left", "state")
_NUMERIC = frozenset({"done", "rate", "left", "job left"})
_EVERY_S = 3.0
_ASK_SLURM_EVERY_S = 60.0
_PLAIN_EVERY_S = 30.0
"""Seconds between two tables where the output is not a terminal, so that each is printed below the last."""


def add_to(commands: Commands) -> None:
    """Add ``watch`` to ``commands``."""
    parser = add_command(
        commands, "watch", "follow running jobs, with the time left, until all have ended", run, ("json",)
    )
    parser.add_argument("sweep", metavar="SWEEP_OR_RUN", nargs="?", help=f"show only this sweep or run; {RUN}")
    parser.add_argument("--once", action="store_true", help="print the current state once and exit")


def run(options: argparse.Namespace) -> Report:
    """Show the jobs until all have ended, then their last state. The exit code is 1 where a job is not done."""
    jobs = _jobs(options.sweep, options.outputs)
    if not jobs:
        return Report(data=[], lines=[f"nothing is running in {options.outputs}; infer ls lists what has been"])
    if options.once or options.form != "text":
        return _report(jobs)
    ask_at = time.monotonic()
    with _screen() as show:
        while any(job.state in (RUNNING, NOT_STARTED) for job in jobs):
            show(_report(jobs))
            if time.monotonic() >= ask_at:
                _collect(jobs)
                ask_at = time.monotonic() + _ASK_SLURM_EVERY_S
            jobs = _read_again(jobs)
    return _report(jobs, code=int(any(job.state not in NO_FAULTS for job in jobs)))


def _jobs(word: str | None, outputs: Path) -> list[Run]:
    """The jobs that ``word`` names; without it those that run or appear to."""
    if word is not None:
        return pick_runs([word], outputs)
    found = find_runs(outputs, planned=True)
    return [job for job in found if job.state in (RUNNING, NOT_STARTED) or job.is_silent and not job.has_ended]


def _read_again(jobs: Sequence[Run]) -> list[Run]:
    """The same jobs, read again from their files; jobs without a folder that are in no sweep count as removed."""
    of_sweeps = {job.folder: job for sweep in _sweeps(jobs) for job in sweep_jobs(sweep)}
    return [of_sweeps.get(job.folder) or Run(job.name, job.folder, was_removed=not job.folder.is_dir()) for job in jobs]


def _collect(jobs: Sequence[Run]) -> None:
    """Write the reports of sweeps on SLURM whose jobs have all ended without writing them."""
    for sweep in _sweeps(jobs):
        collect_if_ended(sweep)


def _sweeps(jobs: Sequence[Run]) -> set[Path]:
    return {job.folder.parent for job in jobs if is_sweep(job.folder.parent)}


@contextlib.contextmanager
def _screen() -> Iterator[Any]:
    """Context with a function that shows a report and waits.

    On a terminal a report replaces the last one; elsewhere it is printed below it.
    """
    terminal = Console().interactive
    if terminal is None:

        def show(report: Report) -> None:
            print_report(report, "text")
            time.sleep(_PLAIN_EVERY_S)

        yield show
        return
    from rich.live import Live
    from rich.text import Text

    with Live(console=terminal, auto_refresh=False, transient=True) as live:

        def draw(report: Report) -> None:
            lines = [*(line for section in report.sections for line in aligned(section)), "", *report.closing]
            live.update(Text("\n".join(lines), no_wrap=True, overflow="ellipsis"), refresh=True)
            time.sleep(_EVERY_S)

        yield draw


def _report(jobs: Sequence[Run], code: int = 0) -> Report:
    by_state = {state: [job for job in jobs if job.state == state] for state in dict.fromkeys(j.state for j in jobs)}
    total = ", ".join(f"{len(several)} {state}" for state, several in by_state.items())
    closing = [f"{count(jobs, 'job')}: {total}"]
    if LOST in by_state:
        closing.append("lost jobs were killed; what they had finished is kept, and the same command goes on from there")
    rows = [_row(name, job) for name, job in zip(_names(jobs), jobs, strict=True)]
    section = Section(_COLUMNS, rows, _NUMERIC)
    return Report(data=list(map(_entry, jobs)), sections=[section], closing=closing, code=code)


def _names(jobs: Sequence[Run]) -> list[str]:
    """Names of ``jobs``, without the name of the sweep where all are of the same one."""
    parents = {job.name.rpartition("/")[0] for job in jobs}
    return [job.name.rpartition("/")[2] if len(parents) == 1 else job.name for job in jobs]


def _row(name: str, job: Run) -> list[str]:
    progress = job.progress if job.state == RUNNING else {}
    done = progress.get("doing")
    return [
        name,
        progress.get("stage") or "-",
        done or "-",
        f"{progress['done']}/{progress['total']} {progress['unit']}" if done else "-",
        speed(progress["per_second"], progress["unit"]) if progress.get("per_second") else "-",
        _seconds(progress.get("left_s")),
        _seconds(progress.get("run_left_s")),
        job.state_in_words,
    ]


def _seconds(left: float | None) -> str:
    return "-" if left is None else duration(left)


def _entry(job: Run) -> dict[str, Any]:
    """The state of a job, JSON-ready."""
    facts = {"job": job.name, "state": job.state, "reason": job.reason, "silence_s": job.silence}
    return facts | {"progress": job.progress}
