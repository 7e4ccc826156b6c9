"""``infer show``: one run in full."""

import argparse

from infer.commands.parsing import RUN, Commands, add_command
from infer.records.find import pick_run
from infer.records.runs import Run
from infer.records.sections import (
    environment_section,
    scores_section,
    settings_section,
    stages_section,
    storage_section,
    teachers_section,
)
from infer.tables import Report

_SECTIONS = (
    settings_section,
    stages_section,
    scores_section,
    teachers_section,
    storage_section,
    environment_section,
)


def add_to(commands: Commands) -> None:
    """Add ``show`` to ``commands``."""
    parser = add_command(commands, "show", "one run in full", run, ("json", "md"))
    parser.add_argument("run_name", metavar="RUN", help=RUN)


def run(options: argparse.Namespace) -> Report:
    """Show the run that ``options.run_name`` names."""
    return show_run(pick_run(options.run_name, options.outputs))


def show_run(run: Run) -> Report:
    """Settings by group, stages, scores of every student and baseline, storage, environment, files."""
    lines = [f"{run.name}  {run.state_in_words}", f"folder: {run.folder}", f"files: {', '.join(_files(run))}"]
    if run.record["error"]:
        lines.append(f"error: {run.record['error']}")
    sections = [make(run) for make in _SECTIONS]
    data = {"run": run.name, "folder": str(run.folder), "files": _files(run)} | run.record
    return Report(data=data, lines=lines, sections=[section for section in sections if section.rows])


def _files(run: Run) -> list[str]:
    names = (f"{path.name}/" if path.is_dir() else path.name for path in run.folder.iterdir())
    return sorted(name for name in names if not name.startswith("."))
