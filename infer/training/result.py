"""Results of a training, beside its weights."""

from collections.abc import Mapping
from dataclasses import dataclass

from infer.training.scoring import TestOutcome


@dataclass(frozen=True)
class FitResult:
    """Result of a training, beside the weights; accuracies are percentages."""

    history: list[dict[str, float]]
    """One record per epoch: ``epoch`` and ``step`` (completed, so from 1), ``lr`` (of the last update),
    ``train_loss`` and, where a test followed, ``<test>/top1`` and perhaps ``<test>/top5``."""
    seconds: float
    """Seconds in the loop, tests included, over all attempts of a resumed training."""
    samples_seen: int
    """Images shown to the network, each time counted."""
    tests: Mapping[str, TestOutcome]
    """The last test on each set of images; its scores are those of the last row of the history."""

    @property
    def steps(self) -> int:
        """Updates made."""
        return int(self.history[-1]["step"])

    @property
    def scores(self) -> dict[str, float]:
        """The accuracies after the last epoch, e.g. ``test/top1``."""
        return _accuracies(self.history[-1])

    @property
    def best(self) -> dict[str, dict[str, float]]:
        """Per accuracy, e.g. ``test/top1_best_epoch``: the highest ``value`` and the first ``epoch`` with it.

        Choosing an epoch by the split that it is tested on flatters; ``scores`` is the result.
        """
        best = {}
        for name in self.scores:
            tested = [record for record in self.history if name in record]
            record = max(tested, key=lambda record: record[name])
            best[f"{name}_best_epoch"] = {"value": record[name], "epoch": record["epoch"]}
        return best


def _accuracies(record: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in record.items() if "/" in name}
