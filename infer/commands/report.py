"""``infer report``: the pictures of a run, or the table and plots of a sweep, made again from records alone."""

import argparse
from pathlib import Path

from infer.commands.parsing import RUN, Commands, add_command
from infer.errors import UsageError
from infer.records.find import pick_run, pick_sweep
from infer.records.runs import Run
from infer.tables import Report, from_here


def add_to(commands: Commands) -> None:
    """Add ``report`` to ``commands``."""
    about = "draw the pictures of a run, or the table and plots of a sweep, again"
    parser = add_command(commands, "report", about, run, ("json", "csv", "md"))
    parser.add_argument("run_or_sweep", metavar="RUN_OR_SWEEP", help=f"{RUN}; or a sweep's folder or name")


def run(options: argparse.Namespace) -> Report:
    """Make the report of the run or sweep that ``options.run_or_sweep`` names."""
    folder = pick_sweep(options.run_or_sweep, options.outputs)
    if folder is not None:
        from infer.plots.report import report_sweep

        return report_sweep(folder)
    return _report_run(pick_run(options.run_or_sweep, options.outputs), options.outputs)


def _report_run(run: Run, outputs: Path) -> Report:
    from infer.plots.run import draw

    drawn = draw(run, outputs, run.folder)
    if not drawn:
        raise UsageError(
            f"{run.folder} has nothing to show yet: the run ended before anything was made, or an earlier version "
            "of this program recorded it. Start it again"
        )
    files = ", ".join(drawn)
    return Report({"folder": str(run.folder), "pictures": drawn}, closing=[f"in {from_here(run.folder)}: {files}"])
