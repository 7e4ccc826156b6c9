"""A run, or a job of a sweep, as described by the files in its folder. This module does not import torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from infer.console import duration
from infer.files import has_broken_seal, present_time, read_json
from infer.records import shape
from infer.records.names import DISTILLED, LOG, MANIFEST, PROGRESS, RESULT, SNAPSHOT
from infer.records.statistics import Summary
from infer.records.sweeps import PlannedJob

DONE = "done"
RUNNING = "running"
FAILED = "failed"
SKIPPED = "skipped"
PRUNED = "pruned"
INTERRUPTED = "interrupted"
UNREADABLE = "unreadable"
NOT_STARTED = "not started"
LOST = "lost"
REMOVED = "removed"
NO_FAULTS = (DONE, PRUNED, REMOVED)
"""States of jobs that ended as intended, for which exit codes are 0."""
_UNFINISHED = (RUNNING, NOT_STARTED)
SILENT_S = 300.0
"""Seconds without an update of its progress file after which a running job counts as lost; updates come every few
seconds."""
_REASONS = {
    RUNNING: "killed or out of memory: its record has no end",
    NOT_STARTED: "it left no record: it never started, or was killed at once",
}
"""Reasons why a job is lost, by the state in its record."""
_ARTEFACT_KEYS = ("planned", "stages", "analyses")
"""Keys of a record with signatures of artefacts."""
BLANK_RECORD: Mapping[str, Any] = {
    "status": UNREADABLE,
    "error": None,
    "config": {},
    "choices": {},
    "planned": {},
    "sets": {},
    "stages": {},
    "metrics": {},
    "per_student": {},
    "baselines": {},
    "storage": {},
    "analyses": {},
    "environment": {},
}
"""The keys of a run's record, in order, with empty values."""


@dataclass(frozen=True)
class Run:
    """A run, or a job of a sweep, whose ``result.json`` is read at first use."""

    name: str
    """Name of the folder, with the names of the folders between it and ``runs``; ``<sweep>/<job>`` for a job."""
    folder: Path
    planned: PlannedJob | None = None
    """The job in the plan of its sweep; None for a run, and where the sweep has no plan."""
    has_ended: bool = False
    """True if its process is known to have ended, whatever the record says."""
    misses_snapshot: bool = False
    """True if it is a job of a sweep whose snapshot of settings and code does not exist any more."""
    was_removed: bool = False
    """True if it is a job that ``infer rm`` has moved to the trash."""

    @cached_property
    def record(self) -> dict[str, Any]:
        """The complete record; the state is ``unreadable``, with the reason, if a part of the file cannot be read."""
        return dict(BLANK_RECORD) | _read_record(self.folder / RESULT)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The manifest of the run's own copy of its distilled set; empty where there is none, or it is damaged."""
        return _read_if_whole(self.folder / DISTILLED / MANIFEST, shape.MANIFEST)

    @property
    def has_damaged_manifest(self) -> bool:
        """True if the set has a manifest that cannot be read or whose checksum is wrong."""
        return not self.manifest and (self.folder / DISTILLED / MANIFEST).exists()

    def setting(self, key: str) -> Any:
        """The resolved setting with a dotted ``key``; None where the run has no such setting."""
        value = self.record["config"]
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return value

    @property
    def state(self) -> str:
        """One of running, done, failed, interrupted, skipped, pruned, unreadable, not started, removed, and lost.

        A run is lost if it has ended without writing this into its record.
        """
        status: str = self.record["status"]
        if status == NOT_STARTED and self.was_removed:
            return REMOVED
        return LOST if self.is_silent or (self.has_ended and status in _UNFINISHED) else status

    @property
    def reason(self) -> str | None:
        """The reason why the run is not done; None where it is not known."""
        if self.is_silent and self.silence is not None and not self.has_ended:
            return f"no sign of life for {duration(self.silence)}"
        if self.misses_snapshot and self.state in (LOST, INTERRUPTED):
            return f"{SNAPSHOT} of its sweep is gone, without which it could not start: type the sweep again"
        if self.state == REMOVED:
            return "set aside by infer rm; the sweep's command, typed again, makes it again"
        error: str | None = self.record["error"]
        return _REASONS[self.record["status"]] if self.state == LOST else error

    @property
    def state_in_words(self) -> str:
        """The state as text, with the reason for unreadable records and for jobs that are lost because of silence."""
        if self.state == UNREADABLE:
            return f"{UNREADABLE} ({self.reason})"
        return f"{LOST}: {self.reason}" if self.is_silent and not self.has_ended else self.state

    @cached_property
    def silence(self) -> float | None:
        """Seconds since the last update of the progress file; None where there is none.

        Both times are by the clock of the disk, since the clocks of the machine that runs the job and of this machine
        may differ by hours.
        """
        try:
            last = (self.folder / PROGRESS).stat().st_mtime
            return max(0.0, present_time(self.folder) - last)
        except OSError:
            return None

    @property
    def is_silent(self) -> bool:
        """True if the state in the record is running, but the progress file is older than ``SILENT_S``."""
        return self.record["status"] == RUNNING and self.silence is not None and self.silence > SILENT_S

    @cached_property
    def progress(self) -> dict[str, Any]:
        """State of the innermost loop from the progress file; empty where there is none."""
        found = _read_if_whole(self.folder / PROGRESS, shape.PROGRESS)
        return found if "doing" not in found or found.keys() >= shape.PROGRESS.keys() else {}

    @property
    def log(self) -> Path | None:
        """The log file; None where there is none."""
        path = self.folder / LOG
        return path if path.is_file() else None

    @property
    def basis(self) -> dict[str, Any]:
        """Facts that must be equal for the numbers of two runs to be comparable."""
        return {"PROTOCOL": self.protocol, "DATA SET": self.setting("dataset.name"), "TEST SPLIT": self.split}

    @property
    def protocol(self) -> str | None:
        """Name of the evaluation protocol, which is shown with the run's numbers."""
        named: str | None = self.record["environment"].get("protocol")
        return named or self.setting("evaluate.protocol")

    @property
    def split(self) -> str:
        """The split on which the leading number is measured: test or val."""
        return self.setting("evaluate.split") or "test"

    @property
    def fingerprint(self) -> str | None:
        """The fingerprint of the data set; None before a distilled set was made."""
        fingerprint: str | None = self.manifest.get("dataset", {}).get("fingerprint")
        return fingerprint

    @property
    def smallest_class(self) -> int | None:
        """Number of training images of the smallest class; None in records of earlier versions."""
        smallest: int | None = self.record["environment"].get("smallest_class")
        return smallest

    @property
    def teachers_used(self) -> list[str]:
        """Architectures of the teachers of the ensemble that are used: the first M."""
        return (self.setting("teachers.archs") or [])[: self.setting("M")]

    @property
    def subsets(self) -> int | None:
        """K as given, otherwise that of the distilled set; None where there are no subsets, or none are made yet."""
        of_set: int | None = self.manifest.get("sizes", {}).get("K")
        return self.setting("K") or of_set

    @property
    def signatures(self) -> dict[str, list[str]]:
        """Signatures of the artefacts that the run has used, by stage."""
        return {stage: account["signatures"] for stage, account in self.record["stages"].items()}

    @property
    def plan(self) -> dict[str, list[str]]:
        """Signatures of all artefacts that the run will make or reuse, by stage; empty while they are not known."""
        planned: dict[str, list[str]] = self.record["planned"]
        return planned

    @property
    def analyses(self) -> dict[str, str]:
        """Signatures of the analyses of the run's distilled set, by name."""
        analyses: dict[str, str] = self.record["analyses"]
        return analyses

    @property
    def needed(self) -> set[str]:
        """Signatures of all artefacts that the run has used or plans to use."""
        by_stage = [*self.plan.values(), *self.signatures.values(), self.analyses.values()]
        return {signature for signatures in by_stage for signature in signatures}

    def score(self, key: str) -> Summary | None:
        """The metric ``key`` of the leading student, for example ``test/top1``; None where it was not measured."""
        metrics: dict[str, Summary] = self.record["metrics"]
        return metrics.get(key)


def _read_record(path: Path) -> dict[str, Any]:
    """The valid entries of a record, with the reason where others are not valid."""
    try:
        record = read_json(path)
    except FileNotFoundError:
        return {"status": NOT_STARTED}
    except (OSError, ValueError) as error:
        return _unreadable(f"cannot be read: {error}")
    if not isinstance(record, dict):
        return _unreadable("cannot be read: it is not a record")
    if has_broken_seal(record):
        return _unreadable("is not what was written: somebody changed it")
    if faulty := shape.faulty_entries(record, shape.RECORD):
        artefacts_are_faulty = not {*_ARTEFACT_KEYS}.isdisjoint(faulty)
        lost = {*faulty, *(_ARTEFACT_KEYS if artefacts_are_faulty else ())}  # a part of them would look like all
        whole = {key: value for key, value in record.items() if key not in lost}
        return whole | _unreadable(f"cannot be read: {', '.join(faulty)} is not what a run writes there")
    return record


def _unreadable(reason: str) -> dict[str, Any]:
    return {"status": UNREADABLE, "error": f"{RESULT} {reason}"}


def _read_if_whole(path: Path, of_shape: Mapping[str, shape.Check]) -> dict[str, Any]:
    """The content of a JSON file; empty where there is none, or it is damaged or has another structure."""
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict) or has_broken_seal(content) or shape.faulty_entries(content, of_shape):
        return {}
    return content
