"""``infer show``: show all details of a run."""

import argparse

from infer.commands.parsing import RUN, Commands, add_command
from infer.records.find import pick_run
from infer.records.run import Run
from infer.records.sections import sections_of
from infer.tables import Report


def add_to(commands: Commands) -> None:
    """Add ``show`` to ``commands``."""
    parser = add_command(commands, "show", "show one run in full", run, ("json", "md"))
    parser.add_argument("run_name", metavar="RUN", help=RUN)


def run(options: argparse.Namespace) -> Report:
    """Show the run that ``options.run_name`` names."""
    return show_run(pick_run(options.run_name, options.outputs))


def show_run(run: Run) -> Report:
    """Report with settings by group, stages, scores of every student and baseline, storage, environment and files."""
    lines = [f"{run.name}  {run.state_in_words}", f"folder: {run.folder}", f"files: {', '.join(_files(run))}"]
    if run.record["error"]:
        lines.append(f"error: {run.record['error']}")
    data = {"run": run.name, "folder": str(run.folder), "files": _files(run)} | run.record
    return Report(data=data, lines=lines, sections=sections_of(run))


def _files(run: Run) -> list[str]:
    names = (f"{path.name}/" if path.is_dir() else path.name for path in run.folder.iterdir())
    return sorted(name for name in names if not name.startswith("."))
