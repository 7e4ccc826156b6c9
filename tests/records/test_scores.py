"""DD-Ranking's scores: their values at the ends and in the middle, per repeat, from fractions alone."""

import numpy as np
import pytest

from infer.records.scores import (
    Accuracies,
    augmentation_robust_score,
    hard_label_recovery,
    improvement_over_random,
    label_robust_score,
    scores_of,
)


@pytest.mark.parametrize(
    ("accuracies", "score"),
    [
        ((0.5, 0.5, 0.4, 0.4), 0.268941),  # alpha = 0
        ((0.0, 1.0, 1.0, 0.0), 1.0),  # alpha = 1
        ((1.0, 0.0, 0.0, 1.0), 0.0),  # alpha = -1
        ((0.565, 0.10, 0.42, 0.258), 0.209129),
    ],
)
def test_label_robust_score(accuracies, score):
    assert label_robust_score(*accuracies) == pytest.approx(score, abs=1e-6)


@pytest.mark.parametrize(
    ("accuracies", "score"),
    [((0.3, 0.3, 0.2, 0.2), 0.268941), ((1.0, 0.0, 1.0, 0.0), 1.0), ((0.0, 1.0, 0.0, 1.0), 0.0)],
)
def test_augmentation_robust_score(accuracies, score):
    assert augmentation_robust_score(*accuracies) == pytest.approx(score, abs=1e-6)


def test_the_weight_moves_from_one_half_to_the_other():
    assert label_robust_score(0.9, 0.1, 0.5, 0.5, weight=1) == pytest.approx(0.268941, abs=1e-6)
    assert augmentation_robust_score(0.9, 0.1, 0.5, 0.5, weight=0) == pytest.approx(0.268941, abs=1e-6)


@pytest.mark.parametrize("score", [label_robust_score, augmentation_robust_score])
def test_percentages_are_refused(score):
    with pytest.raises(ValueError, match="accuracy 56.5: fractions in"):
        score(56.5, 0.1, 0.42, 0.258)


def test_scores_are_computed_per_repeat():
    """A score of mean accuracies would be another number, and without a spread."""
    real, hard, of_set, random = [0.6, 0.5], [0.1, 0.4], [0.4, 0.9], [0.3, 0.1]
    set_plain, random_plain = [0.2, 0.6], [0.3, 0.2]
    found = scores_of(Accuracies(real, hard, of_set, random, set_plain, random_plain))
    lrs = [label_robust_score(*each) for each in zip(real, hard, of_set, random, strict=True)]
    assert found["LRS"]["values"] == lrs and found["LRS"]["n"] == 2
    assert found["LRS"]["mean"] == pytest.approx(np.mean(lrs)) != label_robust_score(0.55, 0.25, 0.65, 0.2)
    assert found["LRS"]["std"] == pytest.approx(np.std(lrs, ddof=1))
    assert found["HLR"]["values"] == [hard_label_recovery(0.6, 0.1), hard_label_recovery(0.5, 0.4)]
    assert found["IOR"]["values"] == [improvement_over_random(0.4, 0.3), improvement_over_random(0.9, 0.1)]
    assert found["ARS"]["values"][1] == augmentation_robust_score(0.9, 0.1, 0.6, 0.2)


def test_sets_of_unequal_repeats_are_refused():
    with pytest.raises(ValueError, match="zip"):
        scores_of(Accuracies([0.5], [0.5, 0.5], [0.5], [0.5], [0.5], [0.5]))
