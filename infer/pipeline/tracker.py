"""Interface of experiment trackers, which ``infer.pipeline.tracking`` calls with the results of a run."""

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
    """Name of the run's folder; for a job of a sweep, after the name of the sweep and a slash."""
    group: str | None
    """Name of the sweep that the run is a job of; None for a single run."""
    config: Mapping[str, Any]
    """All settings, JSON-ready."""


class Tracker:
    """Base class of trackers, which tracks nothing.

    A tracker overrides the methods for which it has a use. Its exceptions do not end the run.
    """

    def __init__(self, settings: TrackerConfig, run: TrackedRun) -> None:
        """Start to track ``run``, or continue to track a run that was interrupted."""

    @classmethod
    def check(cls, settings: TrackerConfig) -> None:
        """Raise UsageError where the user must do something first, such as install a package or log in."""

    def log_curves(self, name: str, step: str, rows: Sequence[Mapping[str, float]]) -> None:
        """Receive the curves of a training or optimisation: every key of ``rows`` over the key ``step``."""

    def log_scores(self, scores: Mapping[str, float]) -> None:
        """Receive the scores and costs of the run, at its end."""

    def log_pictures(self, pictures: Sequence[Path]) -> None:
        """Receive the run's pictures, PNG files."""

    def log_set(self, name: str, folder: Path, facts: Mapping[str, Any], lineage: Mapping[str, Sequence[str]]) -> None:
        """Receive the distilled set in ``folder``, with facts about it and its lineage.

        ``lineage`` lists ``<name> <signature>`` of the set's ancestors and of its students, by kind of artefact, from
        teachers to students.
        """

    def close(self, succeeded: bool) -> None:
        """Write everything that is not written yet."""
