"""``infer ls``: every run and sweep job, newest last."""

import argparse
from pathlib import Path
from typing import Any

from infer.commands.parsing import Commands, add_command
from infer.console import size
from infer.records.runs import Run, find_runs
from infer.tables import Report, Section, or_dash

_COLUMNS = ("run", "state", "method", "data set", "M", "K", "ipc", "labeling", "protocol", "top-1 %", "bytes")


def add_to(commands: Commands) -> None:
    """Add ``ls`` to ``commands``."""
    add_command(commands, "ls", "list runs and sweep jobs, newest last", run, ("json", "csv", "md"))


def run(options: argparse.Namespace) -> Report:
    """List the runs under ``options.outputs``."""
    return list_runs(options.outputs)


def list_runs(outputs: Path) -> Report:
    """One row per run or planned job; raises UsageError when there is no folder ``outputs``."""
    entries = [entry_of(run) for run in find_runs(outputs, planned=True)]
    if not entries:
        return Report(data=[], lines=[f"no runs in {outputs} yet; python launch.py makes one"])
    on_val = any(entry["split"] == "val" for entry in entries)
    notes = ["val: measured on held-out training images, not on the test split"] if on_val else []
    rows = [_row(entry) for entry in entries]
    return Report(data=entries, sections=[Section(_COLUMNS, rows, {"M", "K", "ipc", "bytes"}, notes)])


def entry_of(run: Run) -> dict[str, Any]:
    """The facts of a run that fit into one line, JSON-ready."""
    return {
        "run": run.name,
        "state": run.state,
        "state_in_words": run.state_in_words,
        "method": run.setting("method.name"),
        "dataset": run.setting("dataset.name"),
        "M": len(run.teachers_used) or None,
        "K": run.subsets,
        "ipc": run.setting("ipc"),
        "labeling": run.setting("labeling.mode"),
        "protocol": run.protocol,
        "split": run.split,
        "top1": _without_values(run.score(f"{run.split}/top1")),
        "total_bytes": run.record["storage"].get("total_bytes"),
        "error": run.reason,
    }


def _row(entry: dict[str, Any]) -> list[str]:
    facts = ("run", "state_in_words", "method", "dataset", "M", "K", "ipc", "labeling", "protocol")
    top1 = or_dash(entry["top1"]) + (" val" if entry["top1"] and entry["split"] == "val" else "")
    total = "-" if entry["total_bytes"] is None else size(entry["total_bytes"])
    return [*(or_dash(entry[fact]) for fact in facts), top1, total]


def _without_values(summary: Any) -> dict[str, Any] | None:
    return summary and {part: summary[part] for part in ("mean", "std", "n")}
