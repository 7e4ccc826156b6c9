"""DD-Ranking's scores of a distilled set, which separate the gain of the images from that of labels and augmentation.

Source: README of NUS-HPC-AI-Lab/DD-Ranking, commit b8b0966. Accuracies are fractions in [0, 1], so that both scores are
in [0, 1] as well; its package, version 0.2.0, uses percentages in the exponential.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from infer.records.statistics import Summary, summarise

WEIGHT = 0.5
"""Weights w and gamma of DD-Ranking."""
_E = math.e


@dataclass(frozen=True)
class Accuracies:
    """Test accuracies of students as fractions in [0, 1], one per repeat; student i of each set is at position i."""

    real_hard: Sequence[float]
    """All real training images with hard labels."""
    set_hard: Sequence[float]
    """The distilled set with hard labels."""
    set_any: Sequence[float]
    """The distilled set with the labels that it is made for."""
    random_any: Sequence[float]
    """Random real images with labels of the same kind."""
    set_plain: Sequence[float]
    """The same set and labels as ``set_any``, trained without augmentation."""
    random_plain: Sequence[float]
    """The same images and labels as ``random_any``, trained without augmentation."""


def scores_of(accuracies: Accuracies) -> dict[str, Summary]:
    """HLR, IOR, LRS and ARS, each computed per repeat and then summarised over the repeats."""
    a = accuracies
    return {
        "HLR": _over_repeats(hard_label_recovery, a.real_hard, a.set_hard),
        "IOR": _over_repeats(improvement_over_random, a.set_any, a.random_any),
        "LRS": _over_repeats(label_robust_score, a.real_hard, a.set_hard, a.set_any, a.random_any),
        "ARS": _over_repeats(augmentation_robust_score, a.set_any, a.random_any, a.set_plain, a.random_plain),
    }


def hard_label_recovery(real_hard: float, set_hard: float) -> float:
    """HLR: accuracy of all real images minus that of the set, both with hard labels; 0 is best."""
    return real_hard - set_hard


def improvement_over_random(of_set: float, of_random: float) -> float:
    """IOR: accuracy of the set minus that of random real images, with the same training."""
    return of_set - of_random


def label_robust_score(
    real_hard: float, set_hard: float, set_any: float, random_any: float, weight: float = WEIGHT
) -> float:
    """LRS = (e^alpha - e^-1) / (e - e^-1) with alpha = w IOR - (1 - w) HLR.

    Raises ValueError for an accuracy outside [0, 1].
    """
    _require_fractions(real_hard, set_hard, set_any, random_any)
    recovery, improvement = hard_label_recovery(real_hard, set_hard), improvement_over_random(set_any, random_any)
    return _normalised(weight * improvement - (1 - weight) * recovery)


def augmentation_robust_score(
    set_augmented: float, random_augmented: float, set_plain: float, random_plain: float, weight: float = WEIGHT
) -> float:
    """ARS: the same formula as LRS, with beta = gamma IOR(augmented) + (1 - gamma) IOR(not augmented) for alpha.

    Raises ValueError for an accuracy outside [0, 1].
    """
    _require_fractions(set_augmented, random_augmented, set_plain, random_plain)
    augmented = improvement_over_random(set_augmented, random_augmented)
    plain = improvement_over_random(set_plain, random_plain)
    return _normalised(weight * augmented + (1 - weight) * plain)


def _normalised(difference: float) -> float:
    """``difference`` in [-1, 1] mapped to [0, 1]; 0 becomes 0.269."""
    return (math.exp(difference) - 1 / _E) / (_E - 1 / _E)


def _require_fractions(*accuracies: float) -> None:
    for accuracy in accuracies:
        if not 0 <= accuracy <= 1:
            raise ValueError(f"accuracy {accuracy:g}: fractions in [0, 1] are scored, not percentages")


def _over_repeats(score: Callable[..., float], *accuracies: Sequence[float]) -> Summary:
    return summarise([score(*of_repeat) for of_repeat in zip(*accuracies, strict=True)])
