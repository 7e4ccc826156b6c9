"""Predictions of students on the test images: accuracy by class, confusion matrix, calibration."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from infer.records.artefacts import StoredArtefact, stored_artefacts
from infer.records.names import PREDICTIONS
from infer.records.run import Run
from infer.records.statistics import Summary, summarise

NUM_BINS = 15
"""Number of bins of confidence, of equal width (Guo et al., On Calibration of Modern Neural Networks, ICML 2017)."""


@dataclass(frozen=True)
class Predictions:
    """Predictions in the last test of one student on N images."""

    targets: np.ndarray
    """int [N]."""
    predicted: np.ndarray
    """int [N]."""
    confidence: np.ndarray
    """float [N]: the softmax probability of the predicted class."""

    def confusion(self, classes: int) -> np.ndarray:
        """Confusion matrix, float [classes, classes]: percent of class i predicted as class j; NaN without images."""
        counts = np.zeros((classes, classes))
        np.add.at(counts, (self.targets, self.predicted), 1)
        with np.errstate(invalid="ignore"):
            return np.asarray(100 * counts / counts.sum(axis=1, keepdims=True))

    def accuracy_by_class(self, classes: int) -> np.ndarray:
        """Accuracy by class in percent, float [classes]: the diagonal of ``confusion``."""
        hits = np.bincount(self.targets[self.predicted == self.targets], minlength=classes)
        with np.errstate(invalid="ignore"):
            return np.asarray(100 * hits / np.bincount(self.targets, minlength=classes))

    def reliability(self) -> "Reliability":
        """Fraction of images, mean confidence and accuracy in each bin of confidence."""
        bins = np.minimum((self.confidence * NUM_BINS).astype(int), NUM_BINS - 1)
        sizes = np.bincount(bins, minlength=NUM_BINS)
        with np.errstate(invalid="ignore"):
            confidence = np.bincount(bins, self.confidence, NUM_BINS) / sizes
            accuracy = np.bincount(bins, self.predicted == self.targets, NUM_BINS) / sizes
        return Reliability(sizes / len(bins), confidence, accuracy)


@dataclass(frozen=True)
class Reliability:
    """Calibration by bins of confidence, in fractions; confidence and accuracy of an empty bin are NaN."""

    share: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def error(self) -> float:
        """Expected calibration error (ECE) in percentage points: the mean gap between confidence and accuracy."""
        return float(100 * np.nansum(self.share * np.abs(self.accuracy - self.confidence)))


@dataclass(frozen=True)
class SetPredictions:
    """Predictions of the students of one architecture that were trained on one set."""

    name: str
    students: Sequence[Predictions]
    classes: int

    @cached_property
    def confusion(self) -> np.ndarray:
        """Confusion matrix, float [classes, classes], in percent, as the mean over students."""
        return np.asarray(np.mean([student.confusion(self.classes) for student in self.students], axis=0))

    @cached_property
    def accuracy_by_class(self) -> np.ndarray:
        """Accuracy by class, float [students, classes], in percent; NaN for a class without images."""
        return np.stack([student.accuracy_by_class(self.classes) for student in self.students])

    @property
    def reliability(self) -> Reliability:
        """Reliability of the predictions of all students together."""
        together = [np.concatenate(parts) for parts in zip(*map(_parts, self.students), strict=True)]
        return Predictions(*together).reliability()

    @property
    def calibration_error(self) -> Summary:
        """Summary of the ECE of the students, in percentage points."""
        return summarise([student.reliability().error for student in self.students])


def predictions_of(run: Run, outputs: Path) -> list[SetPredictions]:
    """Predictions of the students of the leading architecture, by set, that the store under ``outputs`` has.

    Students of earlier versions have none.
    """
    of_sets: dict[str, list[str]] = {
        name: next(iter(each["students"].values()), []) for name, each in run.record["sets"].items()
    }
    stored = stored_artefacts(outputs, [signature for several in of_sets.values() for signature in several])
    found = {
        name: list(_read([stored[s] for s in several if s in stored], run.split)) for name, several in of_sets.items()
    }
    classes = len(run.manifest["dataset"]["classes"]) if run.manifest else 0
    return [SetPredictions(name, students, classes) for name, students in found.items() if students and classes]


def _read(students: Sequence[StoredArtefact], split: str) -> Iterator[Predictions]:
    for student in students:
        if PREDICTIONS in student.files:
            tensors: Mapping[str, np.ndarray] = load_file(student.file(PREDICTIONS))
            yield Predictions(*(tensors[f"{split}.{name}"] for name in ("targets", "predicted", "confidence")))


def _parts(predictions: Predictions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return predictions.targets, predictions.predicted, predictions.confidence
