"""Results of a training, in addition to its weights."""

from collections.abc import Mapping
from dataclasses import dataclass

from infer.training.scoring import TestOutcome


@dataclass(frozen=True)
class FitResult:
    """Result of a training, in addition to its weights; accuracies are in percent."""

    history: list[dict[str, float]]
    """One record per epoch: ``epoch`` and ``step`` (numbers completed, so from 1), ``lr`` (of the last update),
    ``train_loss`` and, where a test followed, ``<test>/top1`` and, with more than five classes, ``<test>/top5``."""
    seconds: float
    """Seconds in the loop, tests included, summed over all attempts of a resumed training."""
    samples_seen: int
    """Number of images shown to the network, with repetitions."""
    tests: Mapping[str, TestOutcome]
    """Last test on each set of images, with the scores of the last record of the history."""

    @property
    def steps(self) -> int:
        """Number of updates made."""
        return int(self.history[-1]["step"])

    @property
    def scores(self) -> dict[str, float]:
        """Accuracies after the last epoch, by name, e.g. ``test/top1``."""
        return _accuracies(self.history[-1])

    @property
    def best(self) -> dict[str, dict[str, float]]:
        """Highest ``value`` of each accuracy and the first ``epoch`` with it, by name, e.g. ``test/top1_best_epoch``.

        The choice of an epoch by the split on which it is tested is biased upwards; ``scores`` is the result.
        """
        best = {}
        for name in self.scores:
            tested = [record for record in self.history if name in record]
            record = max(tested, key=lambda record: record[name])
            best[f"{name}_best_epoch"] = {"value": record[name], "epoch": record["epoch"]}
        return best


def _accuracies(record: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in record.items() if "/" in name}
