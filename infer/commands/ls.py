"""``infer ls``: list all runs and jobs of sweeps, the newest last."""

import argparse
import contextlib
from pathlib import Path
from typing import Any

from infer.commands.parsing import Commands, add_command
from infer.console import size
from infer.files import is_sealed, read_json, state_of, write_sealed
from infer.records.folders import find_runs
from infer.records.names import CACHE, DISTILLED, MANIFEST, RESULT
from infer.records.run import DONE, Run
from infer.tables import Report, Section, or_dash

_CACHED_LIST = Path(CACHE) / "listing.json"
_FORMAT = 1
"""Version of the cached entries, to be increased when entries of the same records change."""
_COLUMNS = ("run", "state", "method", "data set", "M", "K", "ipc", "labeling", "protocol", "top-1 %", "bytes")


def add_to(commands: Commands) -> None:
    """Add ``ls`` to ``commands``."""
    add_command(commands, "ls", "list runs and sweep jobs, newest last", run, ("json", "csv", "md"))


def run(options: argparse.Namespace) -> Report:
    """List the runs under ``options.outputs``."""
    return list_runs(options.outputs)


def list_runs(outputs: Path) -> Report:
    """Table with a row per run or planned job. Raises UsageError where there is no folder ``outputs``."""
    entries = _entries(outputs, find_runs(outputs, planned=True))
    if not entries:
        return Report(data=[], lines=[f"no runs in {outputs} yet; python launch.py makes one"])
    on_val = any(entry["split"] == "val" for entry in entries)
    notes = ["val: measured on held-out training images, not on the test split"] if on_val else []
    rows = [_row(entry) for entry in entries]
    return Report(data=entries, sections=[Section(_COLUMNS, rows, {"M", "K", "ipc", "bytes"}, notes)])


def _entries(outputs: Path, runs: list[Run]) -> list[dict[str, Any]]:
    """The entries of ``runs``. Those of finished runs are cached until their files change.

    Without the cache, reading and checking the records of a thousand runs takes a second.
    """
    kept = _read_kept(outputs / _CACHED_LIST)
    entries, keep = [], {}
    for run in runs:
        stamp = [_stamp(run.folder / name) for name in (RESULT, f"{DISTILLED}/{MANIFEST}")]
        known = kept.get(run.name, {})
        entry = known["entry"] if known.get("stamp") == stamp else entry_of(run)
        entries.append(entry)
        if entry["state"] == DONE:
            keep[run.name] = {"stamp": stamp, "entry": entry}
    if keep != kept:
        with contextlib.suppress(OSError, ValueError):  # no right to write, or settings that are not JSON
            write_sealed(outputs / _CACHED_LIST, {"format": _FORMAT, "runs": keep})
    return entries


def _stamp(file: Path) -> list[int] | None:
    try:
        return state_of(file.stat())
    except OSError:
        return None


def _read_kept(path: Path) -> dict[str, dict[str, Any]]:
    """Cached entries of finished runs by name, with the state of their files; none where the cache is damaged."""
    try:
        content = read_json(path)
        is_known = is_sealed(content) and content["format"] == _FORMAT
    except (OSError, ValueError, AttributeError, KeyError):
        return {}
    return content["runs"] if is_known else {}


def entry_of(run: Run) -> dict[str, Any]:
    """The most important facts of a run, for one line, JSON-ready."""
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
