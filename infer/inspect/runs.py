"""The records of runs and sweep jobs under ``outputs/``, found and read without importing torch."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from infer.errors import UsageError
from infer.statistics import Summary

RESULT = "result.json"
DONE = "done"
UNREADABLE = "unreadable"
_BLANK: Mapping[str, Any] = {
    "status": UNREADABLE,
    "error": None,
    "config": {},
    "choices": {},
    "stages": {},
    "metrics": {},
    "per_student": {},
    "baselines": {},
    "storage": {},
    "environment": {},
}


@dataclass(frozen=True)
class Run:
    """One run, or one job of a sweep, as its ``result.json`` tells it; read at first use."""

    name: str
    """The folder's name; a job's is ``<sweep>/<job>``."""
    folder: Path

    @cached_property
    def record(self) -> dict[str, Any]:
        """The whole record; a file that cannot be read gives the state ``unreadable`` and the reason."""
        try:
            return dict(_BLANK) | json.loads((self.folder / RESULT).read_bytes())
        except (OSError, ValueError, TypeError) as error:
            return dict(_BLANK) | {"error": f"{RESULT} cannot be read: {error}"}

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What the run's own copy of the distilled set says of itself; empty before there is one."""
        try:
            return json.loads((self.folder / "distilled" / "manifest.json").read_bytes())
        except (OSError, ValueError):
            return {}

    def setting(self, key: str) -> Any:
        """The resolved setting of a dotted ``key``; None where the run has no such setting."""
        value = self.record["config"]
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return value

    @property
    def state(self) -> str:
        """running, done, failed, interrupted or unreadable."""
        return self.record["status"]

    @property
    def protocol(self) -> str | None:
        """The name that stands beside the run's numbers."""
        return self.record["environment"].get("protocol") or self.setting("evaluate.protocol")

    @property
    def split(self) -> str:
        """What the leading number is measured on: test or val."""
        return self.setting("evaluate.split") or "test"

    @property
    def fingerprint(self) -> str | None:
        """Of the data set's contents; None before a distilled set was made."""
        return self.manifest.get("dataset", {}).get("fingerprint")

    @property
    def teachers_used(self) -> list[str]:
        """The architectures of the ensemble that M leaves."""
        return (self.setting("teachers.archs") or [])[: self.setting("M")]

    @property
    def subsets(self) -> int | None:
        """K: as given, else as the distilled set has it; None where the method has no subsets or none are made yet."""
        return self.setting("K") or self.manifest.get("sizes", {}).get("K")

    @property
    def signatures(self) -> dict[str, list[str]]:
        """Of the artefacts that the run rests on, by stage."""
        return {stage: account["signatures"] for stage, account in self.record["stages"].items()}

    def score(self, key: str) -> Summary | None:
        """A metric of the leading student, for example ``test/top1``; None where it was not measured."""
        return self.record["metrics"].get(key)


def find_runs(outputs: Path) -> list[Run]:
    """Every run and sweep job under ``outputs``, by the time of their start, newest last.

    Raises UsageError when there is no such folder.
    """
    if not outputs.is_dir():
        raise UsageError(f"there is no folder {outputs}; go to where launch.py was typed, or give --outputs DIR")
    runs = [Run(folder.name, folder) for folder in _folders(outputs / "runs")]
    for sweep in _folders(outputs / "sweeps"):
        runs += [Run(f"{sweep.name}/{job.name}", job) for job in _folders(sweep)]
    return sorted((run for run in runs if (run.folder / RESULT).is_file()), key=lambda run: _in_order(run.name))


def _folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return [path for path in parent.iterdir() if path.is_dir() and not path.name.startswith(".")]


def _in_order(name: str) -> list[Any]:
    """A key that puts job 10 after job 9."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
