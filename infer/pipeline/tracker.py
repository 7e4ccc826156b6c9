"""The interface of experiment trackers: everything that one is told of a run, by ``infer.pipeline.tracking``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infer.config.tracker import TrackerConfig


@dataclass(frozen=True)
class TrackedRun:
    """Facts about a run that are known before its work."""

    folder: Path
    name: str
    """The name of its folder; a sweep's job has the sweep's in front."""
    group: str | None
    """The name of the sweep that it is a job of."""
    config: Mapping[str, Any]
    """All settings, JSON-ready."""


class Tracker:
    """Tracks nothing. A tracker overrides what it has a place for; whatever one of them raises, the run goes on."""

    def __init__(self, settings: TrackerConfig, run: TrackedRun) -> None:
        """Start to track ``run``, or go on where it was tracked before it was interrupted."""

    @classmethod
    def check(cls, settings: TrackerConfig) -> None:
        """Raise UsageError where a person has to do something first: install a package, log in."""

    def log_curves(self, name: str, step: str, rows: Sequence[Mapping[str, float]]) -> None:
        """Receive the curves of one training or optimisation: every key of ``rows`` over the key ``step``."""

    def log_scores(self, scores: Mapping[str, float]) -> None:
        """Receive the scores and costs of the run, at its end."""

    def log_pictures(self, pictures: Sequence[Path]) -> None:
        """Receive the run's pictures, PNG files."""

    def log_set(self, name: str, folder: Path, facts: Mapping[str, Any], lineage: Mapping[str, Sequence[str]]) -> None:
        """Receive the distilled set in ``folder``, facts about it, and what it was made from and what of it.

        ``lineage`` has ``<name> <signature>`` of artefacts by kind: teachers first, students last.
        """

    def close(self, succeeded: bool) -> None:
        """Write what is not written yet."""
