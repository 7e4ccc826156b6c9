"""The training loop: epochs of updates, tests, checkpoints and a record of each epoch."""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

import torch
from torch import nn

from infer.config.training import BatchNorm
from infer.environment import Precision
from infer.errors import RunError
from infer.ranks import ranks
from infer.seeds import StreamKey, torch_seed
from infer.training.batches import BatchSource
from infer.training.checkpoint import Checkpoint, kept_on_signals
from infer.training.draws import Draws
from infer.training.execution import memory_format_of
from infer.training.images import Images, LabelledImages
from infer.training.objectives import Objective
from infer.training.optimizers import set_lr
from infer.training.place import Place
from infer.training.plan import Plan
from infer.training.result import FitResult
from infer.training.scoring import TestOutcome, run_test
from infer.training.state import TrainingState
from infer.training.update import Update

OnCount = Callable[[int], None]
"""Function that is told the number of images done so far."""
Testing = Callable[[str, int], AbstractContextManager[OnCount | None]]
"""Context of a test, from the name and the number of its images; it gives what is told how many are done."""


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
    device, draws = torch.device(device), draws or Draws(stream)
    layout = memory_format_of(model)
    model.to(device).to(memory_format=layout)
    state = TrainingState.start(model, plan.settings)
    training = _Training(
        state=state,
        update=Update(state, objective, plan, device, precision, layout),
        batches=BatchSource(images.to(device), plan, draws),
        tests={name: test.to(device) for name, test in (tests or {}).items()},
        plan=plan,
        stream=stream,
        draws=draws,
        device=device,
        precision=precision,
    )
    checkpoint = Checkpoint(checkpoint_dir, training.key(), seconds_between_checkpoints) if checkpoint_dir else None
    place = Place.resumed(state, checkpoint, device)
    checkpointing = _Checkpointing(state, place, checkpoint)
    on_images, testing = checkpointing.after_each(on_images), checkpointing.within_tests(testing)
    with kept_on_signals(checkpoint):
        for epoch in range(place.epoch, plan.epochs):
            loss = training.run_epoch(place, on_images)
            if not math.isfinite(loss):
                if checkpoint:
                    checkpoint.discard()
                raise RunError(training.not_finite(epoch))
            place.history.append(training.record(epoch, loss, testing))
            place.next_epoch(device)
            checkpointing.after_step()
            if on_epoch:
                on_epoch(dict(place.history[-1]))
    last = training.last_test or training.test(testing)  # there is none yet where only the end was to be made again
    state.finish()
    return FitResult(place.history, checkpointing.seconds, plan.samples_seen, last)


@dataclass(frozen=True, eq=False)
class _Training:
    """Everything that stays the same from epoch to epoch, and the last test."""

    state: TrainingState
    update: Update
    batches: BatchSource
    tests: dict[str, LabelledImages]
    plan: Plan
    stream: StreamKey
    draws: Draws
    device: torch.device
    precision: Precision
    last_test: dict[str, TestOutcome] = field(default_factory=dict, init=False)

    def key(self) -> str:
        """A key of this training: two with the same key, images and objective give the same weights."""
        shapes = {name: list(tensor.shape) for name, tensor in self.state.model.state_dict().items()}
        plan = [self.plan.settings.recipe(), self.plan.steps, self.plan.draws_recipe()]
        plan += [vars(self.plan.growth)] if self.plan.growth else []
        named = [self.stream, vars(self.draws), plan, self.precision, sorted(self.tests), shapes]
        return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()

    def run_epoch(self, place: Place, on_images: OnCount) -> float:
        """The updates of one epoch that are left at ``place``. Returns the mean loss over the images that the epoch has
        shown, NaN if a weight is not finite.

        The host reads from the device once, after the last update.
        """
        model, epoch, before = self.state.model.train(), place.epoch, place.steps
        sizes = self.plan.batch_sizes[: len(self.plan.steps_of(epoch))]
        counts = list(accumulate(sizes, initial=epoch * self.plan.images_per_epoch))
        if before:
            on_images(counts[before])
        with place.random_numbers(torch_seed(*self.stream, epoch), self.device):
            left = zip(self.plan.steps_of(epoch)[before:], self.batches.epoch(epoch, before), strict=True)
            for step, batch in left:
                set_lr(self.state.optimizer, self.plan.lr_at(step))
                self.update(batch, place.loss_sum)
                place.steps += 1
                on_images(counts[place.steps])
        weight_sum = sum(
            (parameter.detach().sum() for parameter in model.parameters()), torch.zeros((), device=self.device)
        )
        loss, weights = torch.stack([place.loss_sum / sum(sizes), weight_sum]).tolist()
        return loss if math.isfinite(weights) else math.nan

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
        if ranks.count > 1 and self.plan.settings.batch_norm is not BatchNorm.sync:
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


class _Checkpointing:
    """Checkpoints of a training between two steps, and the time that it has taken."""

    def __init__(self, state: TrainingState, place: Place, checkpoint: Checkpoint | None) -> None:
        self._state = state
        self._place = place
        self._checkpoint = checkpoint
        self._start = time.perf_counter() - place.seconds

    @property
    def seconds(self) -> float:
        """Seconds of this attempt and of those before it."""
        return time.perf_counter() - self._start

    def after_step(self) -> None:
        """Between two steps: write a checkpoint if one is due, and end if a signal has come."""
        if self._checkpoint:
            self._checkpoint.after_step(lambda: self._place.state(self._state, self.seconds))

    def after_each(self, on_images: OnCount | None) -> OnCount:
        """``on_images``, and ``after_step`` after each call of it."""

        def shown(count: int) -> None:
            if on_images:
                on_images(count)
            self.after_step()

        return shown

    def within_tests(self, testing: Testing | None) -> Testing:
        """``testing``, with ``after_step`` after each count."""

        @contextmanager
        def tested(name: str, num_images: int) -> Iterator[OnCount | None]:
            with testing(name, num_images) if testing else nullcontext() as on_tested:
                # ranks test as many parts, and can keep their state after each, only where images divide evenly
                yield self.after_each(on_tested) if ranks.count == 1 else on_tested

        return tested
