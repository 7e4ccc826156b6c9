"""``infer report``: make the report of a run or sweep again from records, with its pictures and tables."""

import argparse
import webbrowser
from pathlib import Path

from infer.commands.parsing import RUN, Commands, add_command
from infer.errors import UsageError
from infer.plots.style import drawing
from infer.records.find import pick_run, pick_sweep, require_store
from infer.records.folders import sweep_jobs
from infer.records.names import ANALYSES, REPORT
from infer.records.run import DONE, UNREADABLE, Run
from infer.sweep.collecting import collect_if_ended
from infer.tables import Report, from_here


def add_to(commands: Commands) -> None:
    """Add ``report`` to ``commands``."""
    about = "make the report of a run or sweep again, with its figures and tables"
    parser = add_command(commands, "report", about, run, ("json", "csv", "md"))
    parser.add_argument("run_or_sweep", metavar="RUN_OR_SWEEP", help=f"{RUN}; or a sweep's folder or name")
    parser.add_argument("--open", action="store_true", help="open it in a browser")


def run(options: argparse.Namespace) -> Report:
    """Make the report of the run or sweep that ``options.run_or_sweep`` names."""
    folder = pick_sweep(options.run_or_sweep, options.outputs)
    if folder is None:
        picked = pick_run(options.run_or_sweep, options.outputs)
        folder = picked.folder
        require_store(folder, options.outputs)
        made = _report_run(picked, options.outputs)
    else:
        require_store(folder, options.outputs)
        made = _report_sweep(folder, options.outputs)
    if options.open:
        _open(folder / REPORT)
    return made


def _report_run(run: Run, outputs: Path) -> Report:
    """Make the pictures and the page of a run, which need not be finished."""
    if not run.record["config"] or run.state == UNREADABLE:
        raise UsageError(f"{run.folder} has nothing to show: {run.reason or 'the run has left no record yet'}")
    with drawing():
        from infer.plots.analyses import draw as draw_analysis
        from infer.plots.analyses import facts_of
        from infer.plots.run import draw
        from infer.reports.run import write_page

        drawn = [f"{name}.png" for name in draw(run, outputs, run.folder)]
        for name, facts in facts_of(run, outputs).items():
            draw_analysis(facts, run.folder / ANALYSES, name)
        write_page(run, outputs)
    names = [REPORT, *drawn]
    unfinished = [] if run.state == DONE else [f"the run is {run.state}: the report shows what there is"]
    closing = [*unfinished, f"in {from_here(run.folder)}: {', '.join(names)}"]
    return Report({"folder": str(run.folder), "report": REPORT, "pictures": drawn}, closing=closing)


def _report_sweep(folder: Path, outputs: Path) -> Report:
    """Make the reports of jobs that have none yet, and that of the sweep, which links to them."""
    from infer.reports.sweep import report_sweep

    collect_if_ended(folder)  # jobs whose records are not finished then count as lost
    for job in sweep_jobs(folder):
        if job.record["config"] and job.state != UNREADABLE and not (job.folder / REPORT).is_file():
            _report_run(job, outputs)
    return report_sweep(folder)


def _open(page: Path) -> None:
    """Open ``page`` in the user's browser. Raises UsageError where there is none."""
    if not webbrowser.open(page.resolve().as_uri()):
        raise UsageError(f"--open: no browser was found here. Open it yourself: {from_here(page)}")
