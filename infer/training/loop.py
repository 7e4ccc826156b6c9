"""The training loop: epochs of updates, tests, checkpoints and a record of each epoch."""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from pathlib import Path

import torch
from torch import Tensor, nn

from infer.config.training import BatchNorm
from infer.environment import Precision
from infer.errors import RunError
from infer.ranks import ranks
from infer.seeds import StreamKey, torch_seed
from infer.training.batches import Batch, BatchSource
from infer.training.checkpoint import Checkpoint, State, kept_on_signals, under
from infer.training.draws import Draws
from infer.training.execution import autocast, memory_format_of
from infer.training.fitting import Fitting
from infer.training.images import Images, LabelledImages
from infer.training.objectives import Objective
from infer.training.optimizers import set_lr
from infer.training.plan import Plan
from infer.training.scoring import TestOutcome, run_test
from infer.training.state import TrainingState

OnCount = Callable[[int], None]
"""Function that is told the number of images done so far."""
Testing = Callable[[str, int], AbstractContextManager[OnCount]]
"""Context of a test, from the name and the number of its images."""


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
    seconds_between_checkpoints: float = 120.0,
    on_images: OnCount | None = None,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
    testing: Testing | None = None,
) -> FitResult:
    """Train ``model`` in place; it ends with the weights to keep, in eval mode, on ``device``.

    Every random number comes from ``stream`` and the epoch's number, except that those of the batches come from
    ``draws`` where it is given; the caller's random state stays as it is.
    ``on_images`` is told after every update how many images were shown so far, and ``on_epoch`` receives each new
    record of the history; ``testing`` is entered with the name and the number of the images of a test, and what it
    gives is told how many are done. None of them makes the host wait for the device.
    With ``checkpoint_dir``, a folder for this training alone, an interrupted call made again goes on after the last
    stored update and ends with the same weights, bit for bit on the same device and number of threads; the folder is
    the caller's to remove.
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
    checkpoint = Checkpoint(checkpoint_dir, training.key(), seconds_between_checkpoints) if checkpoint_dir else None
    place = _Place.resumed(training.state, checkpoint, device)
    history, start = place.history, time.perf_counter() - place.seconds

    def keep() -> None:
        """Between two steps: write a checkpoint if one is due, and end if a signal has come."""
        if checkpoint:
            checkpoint.after_step(lambda: place.state(training.state, time.perf_counter() - start))

    def tested(name: str, num_images: int) -> AbstractContextManager[OnCount]:
        kept = keep if ranks.count == 1 else _nothing  # ranks test as many parts only where images divide evenly
        return _followed(testing(name, num_images) if testing else nullcontext(None), kept)

    def shown(count: int) -> None:
        if on_images:
            on_images(count)
        keep()

    with kept_on_signals(checkpoint):
        for epoch in range(place.epoch, plan.epochs):
            loss = training.run_epoch(place, shown)
            if not math.isfinite(loss):
                if checkpoint:
                    checkpoint.discard()
                raise RunError(training.not_finite(epoch))
            history.append(training.record(epoch, loss, tested))
            place.next_epoch(device)
            keep()
            if on_epoch:
                on_epoch(dict(history[-1]))
    last = training.last_test or training.test(tested)  # there is none yet where only the end was to be made again
    training.state.finish()
    return FitResult(history, time.perf_counter() - start, plan.samples_seen, last)


@dataclass(eq=False)
class _Place:
    """Place that a training has reached, between two updates."""

    loss_sum: Tensor
    """Sum of the losses of the images that the epoch has shown."""
    epoch: int = 0
    steps: int = 0
    """Updates that the epoch has made."""
    history: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    """Seconds of the attempts before this one."""
    random: dict[str, Tensor] = field(default_factory=dict)
    """State of torch's random numbers (dropout) in the middle of the epoch, by device type; empty at its beginning."""

    @classmethod
    def resumed(cls, state: TrainingState, checkpoint: Checkpoint | None, device: torch.device) -> "_Place":
        """The place of the last checkpoint, whose tensors are put into ``state``; without one the beginning."""
        stored = checkpoint.read() if checkpoint else None
        if stored is None:
            return cls(torch.zeros((), device=device))
        tensors, progress = stored
        state.load(tensors)
        return cls(tensors["loss_sum"].to(device), random=under("random.", tensors), **progress)

    def state(self, training: TrainingState, seconds: float) -> State:
        """Tensors and progress for a checkpoint."""
        tensors = {**training.tensors(), "loss_sum": self.loss_sum}
        if self.steps:  # an epoch begins with random numbers of its own
            tensors["random.cpu"] = torch.get_rng_state()
            if self.loss_sum.device.type == "cuda":
                tensors["random.cuda"] = torch.cuda.get_rng_state(self.loss_sum.device)
        progress = {"epoch": self.epoch, "steps": self.steps, "history": self.history, "seconds": seconds}
        return tensors, progress

    def next_epoch(self, device: torch.device) -> None:
        """Go to the beginning of the next epoch."""
        self.epoch, self.steps, self.random = self.epoch + 1, 0, {}
        self.loss_sum = torch.zeros((), device=device)


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

    @cached_property
    def fitting(self) -> Fitting | None:
        """Number of images that pass the network together; None where batch norm makes it a part of the numbers."""
        norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
        if any(isinstance(module, norms) for module in self.state.model.modules()):
            return None
        return Fitting(self.plan.part_size, "images of a batch")

    def key(self) -> str:
        """A key of this training: two with the same key, images and objective give the same weights."""
        shapes = {name: list(tensor.shape) for name, tensor in self.state.model.state_dict().items()}
        plan = [self.plan.settings.recipe(), self.plan.steps, self.plan.draws_recipe()]
        named = [self.stream, vars(self.draws), plan, self.precision, sorted(self.tests), shapes]
        return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()

    def run_epoch(self, place: _Place, on_images: OnCount) -> float:
        """The updates of one epoch that are left at ``place``. Returns the mean loss over the images that the epoch has
        shown, NaN if a weight is not finite.

        The host reads from the device once, after the last update.
        """
        model, epoch, before = self.state.model.train(), place.epoch, place.steps
        sizes = self.plan.batch_sizes[: len(self.plan.steps_of(epoch))]
        counts = list(accumulate(sizes, initial=epoch * sum(self.plan.batch_sizes)))
        if before:
            on_images(counts[before])
        with _seeded(torch_seed(*self.stream, epoch), self.device):
            _restore(place.random, self.device)
            left = zip(self.plan.steps_of(epoch)[before:], self.batches.epoch(epoch, before), strict=True)
            for step, batch in left:
                set_lr(self.state.optimizer, self.plan.lr_at(step))
                if ranks.count == 1:
                    self._update(batch, place.loss_sum)
                else:
                    own_sum = torch.zeros_like(place.loss_sum)
                    self.state.update(self._losses_of_rank(batch, own_sum), own_sum)
                    place.loss_sum += own_sum
                place.steps += 1
                on_images(counts[place.steps])
        weight_sum = sum(
            (parameter.detach().sum() for parameter in model.parameters()), torch.zeros((), device=self.device)
        )
        loss, weights = torch.stack([place.loss_sum / sum(sizes), weight_sum]).tolist()
        return loss if math.isfinite(weights) else math.nan

    def _update(self, batch: Batch, loss_sum: Tensor) -> None:
        """One update of the weights; the sum of the losses of its images is added to ``loss_sum``.

        Where the memory does not suffice, the images pass the network in more parts than the settings say, unless they
        are normalised together: the gradient is the same up to rounding.
        """
        if self.fitting is None:
            self.state.update(self._losses(batch, loss_sum, self.plan.part_size))
            return
        before = loss_sum.clone()

        def attempt(at_once: int) -> None:
            loss_sum.copy_(before)
            self.state.differentiate(self._losses(batch, loss_sum, at_once))

        self.fitting(attempt)
        self.state.step()

    def _losses(self, batch: Batch, loss_sum: Tensor, at_once: int) -> Iterator[Tensor]:
        """The contribution to the loss of each part of ``batch``, ``at_once`` images at a time; the sum over images is
        added to ``loss_sum``."""
        for part in batch.parts(self.plan.part_size):
            for piece in part.parts(at_once):
                with autocast(self.device, self.precision):
                    logits = self.state.model(piece.images.contiguous(memory_format=self.layout))
                loss = self.objective(_float32_or_more(logits), piece)
                loss_sum += loss.detach() * len(piece.index)
                yield loss * (len(piece.index) / len(part.index)) / self.plan.settings.accumulate

    def _losses_of_rank(self, batch: Batch, loss_sum: Tensor) -> Iterator[Tensor]:
        """``_losses`` of this rank's images, weighted by their share, so that those of all ranks add up to it."""
        for part in batch.parts(self.plan.part_size):
            division = part.division
            assert division is not None, "batches of several ranks are divided"
            with division.as_one(self.norms_together):
                with autocast(self.device, self.precision):
                    logits = self.state.model(part.images.contiguous(memory_format=self.layout))
                loss = self.objective(_float32_or_more(logits), part)
            loss_sum += loss.detach() * division.own
            yield loss * (division.share / self.plan.settings.accumulate)

    @property
    def norms_together(self) -> bool:
        """True if batch norm takes the statistics of all ranks' images."""
        return self.plan.settings.batch_norm is BatchNorm.sync

    def record(self, epoch: int, loss: float, tested: Testing) -> dict[str, float]:
        """The history's record of ``epoch``; tests the network where that is planned."""
        steps = self.plan.steps_of(epoch)
        record = {"epoch": epoch + 1, "step": steps.stop, "lr": self.plan.lr_at(steps[-1]), "train_loss": loss}
        if self.plan.is_tested(epoch):
            self.last_test.update(self.test(tested))
            for name, outcome in self.last_test.items():
                record |= {f"{name}/{measure}": value for measure, value in outcome.scores.items()}
        return record

    def test(self, tested: Testing) -> dict[str, TestOutcome]:
        """Test the network, or the average of its weights, on every set of images, each in the context ``tested``."""
        outcomes = {}
        if ranks.count > 1 and not self.norms_together:
            ranks.take_from_first(*self.state.tested.buffers())
        for name, images in self.tests.items():
            with tested(name, len(images)) as on_images:
                network = self.state.tested
                outcomes[name] = run_test(network, images, self.device, self.precision, on_images=on_images)
        return outcomes

    def not_finite(self, epoch: int) -> str:
        """The message when ``epoch`` ends with a loss or a weight that is not finite."""
        seed, *name = self.stream
        lr = self.plan.lr_at(self.plan.steps_of(epoch)[-1])
        advice = " or precision=fp32" if self.precision == "bf16" else ""
        return (
            f"{' '.join(map(str, name))} (seed {seed}) diverged: the loss or a weight is not finite after epoch "
            f"{epoch + 1} of {self.plan.epochs} at a learning rate of {lr:.3g}; try a lower one{advice}"
        )


@contextmanager
def _followed(testing: AbstractContextManager[OnCount | None], keep: Callable[[], None]) -> Iterator[OnCount]:
    """``testing``, with ``keep`` after every part of the images."""
    with testing as on_images:

        def shown(count: int) -> None:
            if on_images:
                on_images(count)
            keep()

        yield shown


def _nothing() -> None:
    """The check between parts of a test where there is none."""


def _float32_or_more(logits: Tensor) -> Tensor:
    """Logits as losses are computed from them: float64 stays, bf16 does not."""
    return logits if logits.dtype is torch.float64 else logits.float()


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's random numbers (dropout); the previous state is restored."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _restore(random: Mapping[str, Tensor], device: torch.device) -> None:
    """Put torch's random numbers into the state that ``_Place.random`` holds."""
    if "cpu" in random:
        torch.set_rng_state(random["cpu"])
    if "cuda" in random:
        torch.cuda.set_rng_state(random["cuda"], device)


def _accuracies(record: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in record.items() if "/" in name}
