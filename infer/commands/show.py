"""``infer show``: one run in full."""

import argparse
from collections.abc import Iterator
from typing import Any

from infer.commands.parsing import RUN, Commands, add_command
from infer.console import duration, size
from infer.records.find import pick_run
from infer.records.runs import Run
from infer.records.settings import flatten, settings_of
from infer.tables import Report, Section, or_dash, shown

_SCORES = ("top1", "top5", "top1_best_epoch", "top1_last_epoch")


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
    sections = [_settings(run), _stages(run), _scores(run), _teachers(run), _storage(run), _environment(run)]
    data = {"run": run.name, "folder": str(run.folder), "files": _files(run)} | run.record
    return Report(data=data, lines=lines, sections=[section for section in sections if section.rows])


def _files(run: Run) -> list[str]:
    names = (f"{path.name}/" if path.is_dir() else path.name for path in run.folder.iterdir())
    return sorted(name for name in names if not name.startswith("."))


def _settings(run: Run) -> Section:
    """The top-level settings first, then each group beside the option that was taken of it."""
    found = settings_of(run)
    rows = sorted(
        ([key, shown(value)] for key, value in found.values.items() if "." not in key), key=lambda row: row[0]
    )
    options = {group: option for group, option in found.choices.items() if option is not None}
    for group in dict.fromkeys(key.split(".")[0] for key in found.values if "." in key):
        rows.append([group, str(options.get(group, ""))])
        rows += [
            [f"  {key.partition('.')[2]}", shown(value)]
            for key, value in found.values.items()
            if key.startswith(f"{group}.")
        ]
    return Section(("setting", "value"), rows)


def _stages(run: Run) -> Section:
    rows = [
        [stage, str(len(account["signatures"])), str(account["made"]), str(account["reused"])]
        + [duration(account["seconds"])]
        for stage, account in run.record["stages"].items()
        if account["signatures"]
    ]
    return Section(("stage", "artefacts", "made", "reused", "time"), rows, {"artefacts", "made", "reused", "time"})


def _scores(run: Run) -> Section:
    """The distilled set first, then its baselines, one row per student architecture."""
    own = {
        "per_student": run.record["per_student"],
        "protocol": run.protocol,
        "student_steps": run.record["environment"].get("student_steps"),
        "storage": run.record["storage"],
    }
    evaluations = {str(run.setting("method.name")): own} | run.record["baselines"]
    splits = sorted({key.split("/")[0] for metrics in own["per_student"].values() for key in metrics})
    measures = [f"{split}/{score}" for split in splits for score in _SCORES]
    present = [key for key in measures if any(key in metrics for metrics in own["per_student"].values())]
    rows = [row for name, evaluation in evaluations.items() for row in _score_rows(name, evaluation, present)]
    heads = [f"{key.replace('_', ' ')} %" for key in present]
    return Section(("set", "protocol", "student", *heads, "steps", "bytes"), rows, {"steps", "bytes"})


def _score_rows(name: str, evaluation: dict[str, Any], measures: list[str]) -> Iterator[list[str]]:
    total = evaluation["storage"].get("total_bytes")
    for arch, metrics in evaluation["per_student"].items():
        yield [
            name,
            or_dash(evaluation["protocol"]),
            arch,
            *(or_dash(metrics.get(key)) for key in measures),
            or_dash(evaluation["student_steps"]),
            "-" if total is None else size(total),
        ]


def _teachers(run: Run) -> Section:
    rows = [
        [key.split("/")[1], shown(summary)]
        for key, summary in run.record["metrics"].items()
        if key.startswith("teacher/")
    ]
    return Section(("teacher", "test top-1 %"), rows)


def _storage(run: Run) -> Section:
    return Section(("storage", ""), [[key, shown(value)] for key, value in run.record["storage"].items()])


def _environment(run: Run) -> Section:
    return Section(("environment", ""), [[key, shown(v)] for key, v in flatten(run.record["environment"]).items()])
