"""Tables about a run: settings, stages, scores, storage and environment."""

from collections.abc import Iterator
from typing import Any

from infer.console import duration, size
from infer.records.run import Run
from infer.records.settings import flatten, settings_of
from infer.tables import Section, or_dash, shown

_SCORES = ("top1", "top5", "top1_best_epoch", "top1_last_epoch")


def settings_section(run: Run) -> Section:
    """Table of the top-level settings, and then of each group with its option and its settings."""
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


def stages_section(run: Run) -> Section:
    """Table of the artefacts of each stage: their number, how many were made or reused, and the time of making."""
    rows = [
        [stage, str(len(account["signatures"])), str(account["made"]), str(account["reused"])]
        + ["-" if account.get("seconds") is None else duration(account["seconds"])]
        for stage, account in run.record["stages"].items()
        if account["signatures"]
    ]
    return Section(("stage", "artefacts", "made", "reused", "time"), rows, {"artefacts", "made", "reused", "time"})


def scores_section(run: Run) -> Section:
    """Table of scores with a row per student architecture, of the distilled set and then of its baselines."""
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
    heads = [f"{key.replace('/top', ' top-').replace('_', ' ')} %" for key in present]
    return Section(("set", "protocol", "student", *heads, "steps", "bytes"), rows, {"steps", "bytes"})


def _score_rows(name: str, evaluation: dict[str, Any], measures: list[str]) -> Iterator[list[str]]:
    total = evaluation.get("storage", {}).get("total_bytes")
    for arch, metrics in evaluation.get("per_student", {}).items():
        yield [
            name,
            or_dash(evaluation.get("protocol")),
            arch,
            *(or_dash(metrics.get(key)) for key in measures),
            or_dash(evaluation.get("student_steps")),
            "-" if total is None else size(total),
        ]


def teachers_section(run: Run) -> Section:
    """Table of the accuracy of every teacher."""
    rows = [
        [key.split("/")[1], shown(summary)]
        for key, summary in run.record["metrics"].items()
        if key.startswith("teacher/")
    ]
    return Section(("teacher", "test top-1 %"), rows)


def storage_section(run: Run) -> Section:
    """Table of the bytes of each part of the distilled set."""
    return Section(("storage", ""), [[key, shown(value)] for key, value in run.record["storage"].items()])


def environment_section(run: Run) -> Section:
    """Table of machine, versions, code and counts."""
    return Section(("environment", ""), [[key, shown(v)] for key, v in flatten(run.record["environment"]).items()])


def sections_of(run: Run) -> list[Section]:
    """All tables that are not empty."""
    makers = (settings_section, stages_section, scores_section, teachers_section, storage_section, environment_section)
    return [section for make in makers if (section := make(run)).rows]
