"""Training settings made concrete for a set of a given size: how many updates, in which epochs, how fast."""

import math
from dataclasses import dataclass

from infer.config.training import ScheduleUnit, Training


@dataclass(frozen=True)
class Plan:
    """The length and the learning-rate schedule of one training.

    Updates ("steps") and epochs count from 0 in every method. An epoch shows each image once, in batches of
    ``settings.batch_size``; the last batch holds what is left.
    """

    settings: Training
    num_images: int
    steps: int | None = None
    """Replaces the length in ``settings``: a baseline makes as many updates as what it is compared with."""
    mix_alpha: float | None = None
    """Both parameters of MixUp's Beta distribution; None leaves images unmixed."""

    @property
    def batch_sizes(self) -> list[int]:
        """Sizes of the batches of one epoch.

        Batch normalisation cannot use a batch of one image, so a single image left over is joined by a second
        one, which that epoch then shows twice. Sets of one image and ``batch_size=1`` are left as asked.
        """
        full, left = divmod(self.num_images, self.settings.batch_size)
        if left == 1 and full > 0:
            left = 2
        return [self.settings.batch_size] * full + [left] * (left > 0)

    @property
    def steps_per_epoch(self) -> int:
        """Updates in a whole epoch."""
        return math.ceil(self.num_images / self.settings.batch_size)

    @property
    def total_steps(self) -> int:
        """Updates in the whole training."""
        if self.steps is not None:
            return self.steps
        if self.settings.steps is not None:
            return self.settings.steps
        return self.settings.epochs * self.steps_per_epoch

    @property
    def epochs(self) -> int:
        """Epochs begun; a length in steps may end inside the last of them."""
        return math.ceil(self.total_steps / self.steps_per_epoch)

    @property
    def samples_seen(self) -> int:
        """Images shown in the whole training, each time counted."""
        whole_epochs, rest = divmod(self.total_steps, self.steps_per_epoch)
        return whole_epochs * sum(self.batch_sizes) + sum(self.batch_sizes[:rest])

    def steps_of(self, epoch: int) -> range:
        """The updates that ``epoch`` makes."""
        first = epoch * self.steps_per_epoch
        return range(first, min(first + self.steps_per_epoch, self.total_steps))

    def is_tested(self, epoch: int) -> bool:
        """Whether a test follows ``epoch``: it does after the last, and where an interval of ``test_every`` ends.

        A replaced length is divided as the settings' own would be, so that compared trainings are tested as often.
        """
        own_length = self.settings.steps or self.settings.epochs
        steps = self.steps_of(epoch)
        before, after = (
            step * own_length // (self.total_steps * self.settings.test_every) for step in (steps.start, steps.stop)
        )
        return after > before or epoch + 1 == self.epochs

    def lr_at(self, step: int) -> float:
        """Learning rate of update ``step``: a linear warm-up, then half a cosine from the peak towards zero.

        Without warm-up it is lr/2 · (1 + cos(pi · t/T)), t counting epochs or steps, as given by
        ``torch.optim.lr_scheduler.CosineAnnealingLR``; a length in steps always counts in steps. The warm-up
        rises evenly from zero (left out) to the peak (the cosine's first value); it lasts at least one epoch or
        step and leaves at least one to the cosine.
        """
        if self._moves_by_epoch:
            tick, ticks = step // self.steps_per_epoch, self.epochs
        else:
            tick, ticks = step, self.total_steps
        warm_up = self._warm_up_of(ticks)
        if tick < warm_up:
            return self.settings.lr * (tick + 1) / (warm_up + 1)
        return self.settings.lr / 2 * (1 + math.cos(math.pi * (tick - warm_up) / (ticks - warm_up)))

    @property
    def _moves_by_epoch(self) -> bool:
        in_epochs = self.steps is None and self.settings.steps is None
        return in_epochs and self.settings.schedule_unit == ScheduleUnit.epoch

    def _warm_up_of(self, ticks: int) -> int:
        if self.settings.warmup == 0:
            return 0
        return min(max(1, round(self.settings.warmup * ticks)), ticks - 1)
