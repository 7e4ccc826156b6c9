"""Experiment tracking: the calls of a run's tracker. The files of the run remain the primary record.

A tracker that fails is reported in one line and not called again; the run continues.
"""

import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from infer.config import as_plain
from infer.config.tracker import TrackerConfig
from infer.context import Context
from infer.errors import UsageError
from infer.evaluation.comparison import Evaluation, artefacts_under
from infer.files import read_json, write_json
from infer.methods.sets.base import DistilledArtefact
from infer.pipeline.tensorboard_tracker import TensorBoard
from infer.pipeline.tracker import TrackedRun, Tracker
from infer.pipeline.wandb_tracker import Wandb
from infer.records.names import CURVES, DISTILLED, HISTORY
from infer.store import Artefact
from infer.tables import is_number

log = logging.getLogger(__name__)
TRACKERS: dict[str, type[Tracker]] = {"none": Tracker, "wandb": Wandb, "tensorboard": TensorBoard}
"""Trackers by their name in the settings; each imports its library when it starts."""


def check_tracker(settings: TrackerConfig) -> None:
    """Raise UsageError where there is no such tracker, or the user must do something before it can start."""
    if settings.name not in TRACKERS:
        raise UsageError(f"tracker.name={settings.name} is not possible: there are {', '.join(TRACKERS)}")
    try:
        TRACKERS[settings.name].check(settings)
    except UsageError:
        raise
    except Exception as error:  # a broken library is reported when the tracker starts, and does not end the run
        log.debug("tracker=%s cannot be checked: %s", settings.name, error)


@contextlib.contextmanager
def tracking(context: Context, evaluations: Sequence[Evaluation]) -> Iterator["Tracking"]:
    """Context in which the tracker of the settings tracks a run; it receives every artefact as soon as it exists."""
    tracking = Tracking(context, evaluations)
    context.on_obtained = tracking.add_curves
    succeeded = False
    try:
        yield tracking
        succeeded = True
    finally:
        context.on_obtained = None
        tracking.close(succeeded)


class Tracking:
    """Wrapper of a tracker that passes a run's results to it and raises no exceptions."""

    def __init__(self, context: Context, evaluations: Sequence[Evaluation]) -> None:
        self._context, self._evaluations = context, evaluations
        self._settings, self._run = context.config.tracker, _tracked(context)
        self._tracker = Tracker(self._settings, self._run)
        self._told_file = context.run_folder / f"tracked-{self._settings.name}.json"
        self._told: list[str] = []
        """Signatures of artefacts whose curves were tracked, also before an interruption, so that none is repeated."""
        self._curve_names = {
            student.signature: f"students/{evaluation.labelled.name}/{arch}/{student.repeat}"
            for evaluation in evaluations
            for arch, students in evaluation.students.items()
            for student in students
        }
        self._attempt(self._start)

    def _start(self) -> None:
        if self._told_file.is_file():
            self._told = read_json(self._told_file)
        self._tracker = TRACKERS[self._settings.name](self._settings, self._run)

    def add_curves(self, artefact: Artefact) -> None:
        """Track the curves of an artefact in the store, if it has curves: a teacher, a student, an optimisation."""
        if type(self._tracker) is not Tracker and artefact.signature not in self._told:
            self._attempt(lambda: self._tell_curves(artefact))

    def _tell_curves(self, artefact: Artefact) -> None:
        folder = self._context.store.folder(artefact)
        name = self._curve_names.get(artefact.signature, f"{artefact.kind}/{artefact.name}")
        if (folder / HISTORY).is_file():
            self._tracker.log_curves(name, "step", read_json(folder / HISTORY))
        elif (folder / CURVES).is_file():
            self._tracker.log_curves(name, "iteration", medians(load_file(folder / CURVES)))
        else:
            return
        self._told.append(artefact.signature)
        write_json(self._told_file, self._told)

    def add_result(self, record: Mapping[str, Any]) -> None:
        """Track scores, pictures and the distilled set of a run with its ``record``."""
        pictures = sorted(self._context.run_folder.glob("*.png"))
        self._attempt(lambda: self._tracker.log_scores(scores_of(record)))
        self._attempt(lambda: self._tracker.log_pictures(pictures))
        self._attempt(lambda: self._tell_set(record))

    def _tell_set(self, record: Mapping[str, Any]) -> None:
        images, folder = self._evaluations[0].labelled.images, self._context.run_folder / DISTILLED
        if isinstance(images, DistilledArtefact) and folder.is_dir():
            facts = {"signature": images.signature, "labels": self._evaluations[0].labelled.labels.mode}
            self._tracker.log_set(images.name, folder, facts | record["storage"], self._lineage())

    def _lineage(self) -> dict[str, list[str]]:
        """The set's ancestors and students that are in the store, in the form that ``Tracker.log_set`` takes."""
        lineage = defaultdict(list)
        for artefact in artefacts_under(self._evaluations[:1]):
            if self._context.store.exists(artefact):
                lineage[artefact.kind].append(f"{artefact.name} {artefact.signature}")
        return dict(lineage)

    def close(self, succeeded: bool) -> None:
        """Close the tracker at the end of the run."""
        self._attempt(lambda: self._tracker.close(succeeded))

    def _attempt(self, tell: Callable[[], None]) -> None:
        """Call ``tell``; where it fails, log a warning and track nothing more."""
        try:
            tell()
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            log.warning("tracker=%s failed and gets no more data (%s). The run goes on", self._settings.name, reason)
            self._tracker = Tracker(self._settings, self._run)


def _tracked(context: Context) -> TrackedRun:
    folder = context.run_folder
    sweep = folder.parent.name if context.sweep else None
    name = f"{sweep}/{folder.name}" if sweep else folder.name
    return TrackedRun(folder, name, sweep, as_plain(context.config))


def medians(curves: Mapping[str, np.ndarray]) -> list[dict[str, float]]:
    """Points of an optimisation's curves: the iteration, and the median of every curve over the groups."""
    iterations = curves["iteration"]
    over_all = {key: np.median(values, axis=1) for key, values in curves.items() if key != "iteration"}
    return [
        {"iteration": int(iterations[point]), **{key: float(values[point]) for key, values in over_all.items()}}
        for point in range(len(iterations))
    ]


def scores_of(record: Mapping[str, Any]) -> dict[str, float]:
    """All means and standard deviations of a record, and its numbers of bytes.

    Names of scores begin with the set or the student, except for the distilled set and the first student.
    """
    leading = next(iter(record["per_student"]), None)
    scores = _flat("", record["metrics"])
    for arch, metrics in record["per_student"].items():
        if arch != leading:
            scores |= _flat(f"{arch}/", metrics)
    for name, baseline in record["baselines"].items():
        scores |= _flat(f"baselines/{name}/", baseline["metrics"])
    return scores | {f"storage/{key}": value for key, value in record["storage"].items() if is_number(value)}


def _flat(prefix: str, metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """The ``mean`` of every metric under its name and, where there is one, ``std`` under ``<name>/std``."""
    means = {f"{prefix}{key}": summary["mean"] for key, summary in metrics.items()}
    spreads = {f"{prefix}{key}/std": s["std"] for key, s in metrics.items() if s["std"] is not None}
    return means | spreads
