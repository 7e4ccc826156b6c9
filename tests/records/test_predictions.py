"""Accuracy by class, confusion and calibration against scikit-learn and a plain loop."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, recall_score

from infer.records.predictions import NUM_BINS, Predictions, SetPredictions

CLASSES = 7


@pytest.fixture
def students() -> list[Predictions]:
    rng = np.random.default_rng(0)
    targets = np.arange(300) % CLASSES
    guesses = [np.where(rng.random(300) < 0.7, targets, rng.integers(0, CLASSES, 300)) for _ in range(3)]
    return [Predictions(targets, guess, rng.uniform(1 / CLASSES, 1, 300)) for guess in guesses]


def plain_error(predictions: Predictions) -> float:
    """ECE as Guo et al. define it, bin by bin."""
    total = 0.0
    for low in np.arange(NUM_BINS) / NUM_BINS:
        inside = (predictions.confidence >= low) & (predictions.confidence < low + 1 / NUM_BINS)
        if inside.any():
            hits = (predictions.predicted == predictions.targets)[inside]
            total += inside.mean() * abs(hits.mean() - predictions.confidence[inside].mean())
    return 100 * total


def test_confusion_and_accuracy_by_class(students):
    of_set = SetPredictions("infer", students, CLASSES)
    expected = [confusion_matrix(s.targets, s.predicted, normalize="true") for s in students]
    np.testing.assert_allclose(of_set.confusion, 100 * np.mean(expected, axis=0))
    recalls = [recall_score(s.targets, s.predicted, average=None) for s in students]
    np.testing.assert_allclose(of_set.accuracy_by_class, 100 * np.array(recalls))


def test_calibration(students):
    of_set = SetPredictions("infer", students, CLASSES)
    assert of_set.calibration_error["values"] == pytest.approx([plain_error(student) for student in students])
    together = Predictions(
        *(np.concatenate(parts) for parts in zip(*(vars(s).values() for s in students), strict=True))
    )
    assert of_set.reliability.error == pytest.approx(plain_error(together))
    assert of_set.reliability.share.sum() == pytest.approx(1)


def test_full_confidence_lies_in_the_last_bin():
    right = Predictions(np.array([0, 1]), np.array([0, 0]), np.array([1.0, 1.0]))
    assert right.reliability().share[-1] == 1 and right.reliability().error == pytest.approx(50)


def test_a_class_without_images_has_no_accuracy():
    only_first = Predictions(np.array([0, 0]), np.array([0, 1]), np.array([0.9, 0.6]))
    assert only_first.confusion(2)[0].tolist() == [50, 50] and np.isnan(only_first.confusion(2)[1]).all()
