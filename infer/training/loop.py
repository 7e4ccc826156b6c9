"""The training loop: epochs of updates, tests, checkpoints and a record of each epoch."""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from infer.environment import Precision
from infer.errors import RunError
from infer.seeds import StreamKey, torch_seed
from infer.training.batches import Batch, BatchSource
from infer.training.checkpoint import Checkpoint, Progress
from infer.training.draws import Draws
from infer.training.execution import autocast, memory_format_of
from infer.training.images import Images, LabelledImages
from infer.training.objectives import Objective
from infer.training.optimizers import set_lr
from infer.training.plan import Plan
from infer.training.scoring import TestOutcome, run_test
from infer.training.state import TrainingState


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


def fit(
    model: nn.Module,
    images: Images,
    objective: Objective,
    plan: Plan,
    *,
    stream: StreamKey,
    draws: Draws | None = None,
    tests: Mapping[str, LabelledImages] | None = None,
    device: torch.device | str = "cpu",
    precision: Precision = "fp32",
    checkpoint_dir: Path | None = None,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
) -> FitResult:
    """Train ``model`` in place; it ends with the weights to keep, in eval mode, on ``device``.

    Every random number comes from ``stream`` and the epoch's number, except that those of the batches come from
    ``draws`` where it is given; the caller's random state stays as it is.
    ``on_epoch`` receives each new record of the history. With ``checkpoint_dir``, a folder for this training
    alone, an interrupted call made again goes on after the last stored epoch and ends with the same weights,
    bit for bit on the same device and number of threads; the folder is the caller's to remove.
    Raises RunError when the loss or a weight is no longer finite.
    """
    device = torch.device(device)
    layout = memory_format_of(model)
    model.to(device).to(memory_format=layout)
    draws = draws or Draws(stream)
    training = _Run(
        state=TrainingState.start(model, plan.settings),
        batches=BatchSource(images.to(device), plan, draws),
        tests={name: test.to(device) for name, test in (tests or {}).items()},
        objective=objective,
        plan=plan,
        stream=stream,
        draws=draws,
        device=device,
        precision=precision,
        layout=layout,
    )
    checkpoint = Checkpoint(checkpoint_dir, training.key()) if checkpoint_dir else None
    history, seconds = _resume(training.state, checkpoint)
    start = time.perf_counter() - seconds
    for epoch in range(len(history), plan.epochs):
        loss = training.run_epoch(epoch)
        if not math.isfinite(loss):
            if checkpoint:
                checkpoint.discard()
            raise RunError(training.not_finite(epoch))
        history.append(training.record(epoch, loss))
        if checkpoint:
            progress = Progress(epoch=epoch + 1, history=history, seconds=time.perf_counter() - start)
            checkpoint.write_when_due(training.state.tensors(), progress)
        if on_epoch:
            on_epoch(dict(history[-1]))
    last = training.last_test or training.test()  # there is none yet where only the end was to be made again
    training.state.finish()
    return FitResult(history, time.perf_counter() - start, plan.samples_seen, last)


@dataclass(frozen=True, eq=False)
class _Run:
    """Everything that stays the same from epoch to epoch, and the last test."""

    state: TrainingState
    batches: BatchSource
    tests: dict[str, LabelledImages]
    objective: Objective
    plan: Plan
    stream: StreamKey
    draws: Draws
    device: torch.device
    precision: Precision
    layout: torch.memory_format
    last_test: dict[str, TestOutcome] = field(default_factory=dict)

    def key(self) -> str:
        """A key of this training: two with the same key, images and objective give the same weights."""
        shapes = {name: list(tensor.shape) for name, tensor in self.state.model.state_dict().items()}
        plan = [self.plan.settings.recipe(), self.plan.steps, self.plan.draws_recipe()]
        named = [self.stream, vars(self.draws), plan, self.precision, sorted(self.tests), shapes]
        return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()

    def run_epoch(self, epoch: int) -> float:
        """The updates of one epoch. Returns the mean loss over the images shown, NaN if a weight is not finite.

        The host reads from the device once, after the last update.
        """
        model = self.state.model.train()
        loss_sum, shown = torch.zeros((), device=self.device), 0
        with _seeded(torch_seed(*self.stream, epoch), self.device):
            for step, batch in zip(self.plan.steps_of(epoch), self.batches.epoch(epoch), strict=True):
                set_lr(self.state.optimizer, self.plan.lr_at(step))
                self.state.update(self._losses(batch, loss_sum))
                shown += len(batch.index)
        weight_sum = sum(
            (parameter.detach().sum() for parameter in model.parameters()), torch.zeros((), device=self.device)
        )
        loss, weights = torch.stack([loss_sum / shown, weight_sum]).tolist()
        return loss if math.isfinite(weights) else math.nan

    def _losses(self, batch: Batch, loss_sum: Tensor) -> Iterator[Tensor]:
        """The contribution of each part of ``batch`` to the loss; its sum over images is added to ``loss_sum``."""
        for part in batch.parts(self.plan.part_size):
            with autocast(self.device, self.precision):
                logits = self.state.model(part.images.contiguous(memory_format=self.layout))
            loss = self.objective(logits.float(), part)
            loss_sum += loss.detach() * len(part.index)
            yield loss / self.plan.settings.accumulate

    def record(self, epoch: int, loss: float) -> dict[str, float]:
        """The history's record of ``epoch``; tests the network where that is planned."""
        steps = self.plan.steps_of(epoch)
        record = {"epoch": epoch + 1, "step": steps.stop, "lr": self.plan.lr_at(steps[-1]), "train_loss": loss}
        if self.plan.is_tested(epoch):
            self.last_test.update(self.test())
            for name, outcome in self.last_test.items():
                record |= {f"{name}/{measure}": value for measure, value in outcome.scores.items()}
        return record

    def test(self) -> dict[str, TestOutcome]:
        """Test the network, or the average of its weights, on every set of images."""
        network = self.state.tested
        return {name: run_test(network, images, self.device, self.precision) for name, images in self.tests.items()}

    def not_finite(self, epoch: int) -> str:
        """The message when ``epoch`` ends with a loss or a weight that is not finite."""
        seed, *name = self.stream
        lr = self.plan.lr_at(self.plan.steps_of(epoch)[-1])
        advice = " or precision=fp32" if self.precision == "bf16" else ""
        return (
            f"{' '.join(map(str, name))} (seed {seed}) diverged: the loss or a weight is not finite after epoch "
            f"{epoch + 1} of {self.plan.epochs} at a learning rate of {lr:.3g}; try a lower one{advice}"
        )


def _resume(state: TrainingState, checkpoint: Checkpoint | None) -> tuple[list[dict[str, float]], float]:
    """History and seconds of the epochs already done, their tensors put into ``state``."""
    stored = checkpoint.read() if checkpoint else None
    if stored is None:
        return [], 0.0
    tensors, progress = stored
    state.load(tensors)
    return progress["history"], progress["seconds"]


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's random numbers (dropout); the previous state is restored."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _accuracies(record: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in record.items() if "/" in name}
