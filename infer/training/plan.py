"""Plan of a training on a set of a given size: updates, epochs and learning rates."""

import math
from dataclasses import dataclass
from itertools import accumulate, pairwise, starmap
from typing import Any

from infer.config.training import Crop, Schedule, ScheduleUnit, Training
from infer.training.growth import Growth


@dataclass(frozen=True)
class Plan:
    """The length and the learning-rate schedule of one training.

    Updates ("steps") and epochs count from 0 in every method. An epoch shows each image once, in batches of
    ``settings.batch_size``; the last batch holds what is left, unless ``settings.even_batches``.
    """

    settings: Training
    num_images: int
    steps: int | None = None
    """Updates in place of the length in ``settings``: those of the set that a baseline is compared with."""
    mix_alpha: float | None = None
    """Both parameters of the Beta distribution of mixing weights; None leaves images unmixed."""
    cutmix: bool = False
    """Mix by CutMix, a box of the partner, instead of MixUp."""
    growth: Growth | None = None
    """Sizes of images that grow; None: all epochs show their own size."""

    @property
    def batch_sizes(self) -> list[int]:
        """Sizes of the batches of one epoch.

        Batch normalisation cannot use a batch of one image, so a single image left over is joined by a second
        one, which that epoch then shows twice. Sets of one image and ``batch_size=1`` are left as asked.
        """
        if self.settings.even_batches:
            size, larger = divmod(self.num_images, self.steps_per_epoch)
            return [size + 1] * larger + [size] * (self.steps_per_epoch - larger)
        full, left = divmod(self.num_images, self.settings.batch_size)
        if left == 1 and full > 0:
            left = 2
        return [self.settings.batch_size] * full + [left] * (left > 0)

    @property
    def batches(self) -> list[slice]:
        """Places of the images of each batch in the order of an epoch."""
        return list(starmap(slice, pairwise(accumulate(self.batch_sizes, initial=0))))

    @property
    def images_per_epoch(self) -> int:
        """Images shown in a whole epoch."""
        return sum(self.batch_sizes)

    @property
    def part_size(self) -> int:
        """Images that go through the network together."""
        return self.settings.batch_size // self.settings.accumulate

    @property
    def largest_part(self) -> int:
        """Images that go through the network together at most: ``part_size``, but of a smaller set all."""
        return min(self.part_size, self.num_images)

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
        return self._own_epochs * self.steps_per_epoch

    @property
    def epochs(self) -> int:
        """Epochs begun; a length in steps may end inside the last of them."""
        return math.ceil(self.total_steps / self.steps_per_epoch)

    @property
    def samples_seen(self) -> int:
        """Images shown in the whole training, each time counted."""
        whole_epochs, rest = divmod(self.total_steps, self.steps_per_epoch)
        return whole_epochs * self.images_per_epoch + sum(self.batch_sizes[:rest])

    def size_in(self, epoch: int, size: int) -> int:
        """Height and width of the images in ``epoch``, of whole ones of ``size`` x ``size`` pixels."""
        return size if self.growth is None else self.growth.size_in(epoch, self.epochs, size)

    def sizes(self, size: int) -> list[int]:
        """``size_in`` each epoch."""
        return [self.size_in(epoch, size) for epoch in range(self.epochs)]

    def whole_images(self, shown: int, size: int) -> int:
        """The first ``shown`` images of the training counted by their pixels, in images of ``size`` x ``size``: what
        takes the time, where images grow."""
        if self.growth is None:
            return shown
        return round(sum(images * side**2 for side, images in self.images_by_size(shown, size).items()) / size**2)

    def images_by_size(self, shown: int, size: int) -> dict[int, int]:
        """Numbers of images among the first ``shown`` of the training, by their height and width; whole ones have
        ``size`` x ``size`` pixels."""
        if self.growth is None:
            return {size: shown}
        per_epoch, epochs = self.images_per_epoch, self.epochs
        found: dict[int, int] = {}
        for epoch in range(math.ceil(shown / per_epoch)):
            side = self.growth.size_in(epoch, epochs, size)
            found[side] = found.get(side, 0) + min(per_epoch, shown - epoch * per_epoch)
        return found

    def steps_of(self, epoch: int) -> range:
        """The updates that ``epoch`` makes."""
        first = epoch * self.steps_per_epoch
        return range(first, min(first + self.steps_per_epoch, self.total_steps))

    def is_tested(self, epoch: int) -> bool:
        """True if a test follows ``epoch``: after the last, and where an interval of ``test_every`` ends past the share
        ``test_from`` of the training.

        A replaced length is divided as the settings' own would be, so that compared trainings are tested as often.
        """
        own_length = self.settings.steps or self._own_epochs
        steps = self.steps_of(epoch)
        before, after = (
            step * own_length // (self.total_steps * self.settings.test_every) for step in (steps.start, steps.stop)
        )
        is_due = after > before and steps.stop > self.settings.test_from * self.total_steps
        return is_due or epoch + 1 == self.epochs

    @property
    def num_tests(self) -> int:
        """Epochs that a test follows."""
        return sum(map(self.is_tested, range(self.epochs)))

    def lr_at(self, step: int) -> float:
        """Learning rate of update ``step``: a linear warm-up, then half a cosine from the peak towards zero.

        Without warm-up it is lr/2 · (1 + cos(pi · t/T)), t counting epochs or steps, as given by
        ``torch.optim.lr_scheduler.CosineAnnealingLR``; a length in steps always counts in steps. With
        ``schedule=half_cosine`` T is doubled, so that the end is at lr/2. The warm-up rises evenly to the peak (the
        cosine's first value) from ``warmup_start``, or from zero (left out); it lasts at least one epoch or step and
        leaves at least one to the cosine.
        """
        if self._moves_by_epoch:
            tick, ticks = step // self.steps_per_epoch, self.epochs
        else:
            tick, ticks = step, self.total_steps
        warm_up = self._warm_up_of(ticks)
        if tick < warm_up:
            return self.settings.lr * self._warm_up_factor(tick, warm_up)
        whole = (ticks - warm_up) * (2 if self.settings.schedule is Schedule.half_cosine else 1)
        return self.settings.lr / 2 * (1 + math.cos(math.pi * (tick - warm_up) / whole))

    def draws_recipe(self) -> dict[str, Any]:
        """The settings that an epoch's random numbers depend on, besides stream and image size; JSON-ready."""
        settings = self.settings
        crop: dict[str, int | list[float]]
        if settings.crop is Crop.resized:
            crop = {"resized": [settings.crop_scale_min, settings.crop_ratio_max]}
        else:
            crop = {"padded": settings.crop_padding}
        return {
            "images": self.num_images,
            "batch_size": settings.batch_size,
            "crop": crop,
            "flip": settings.flip,
            "shuffle_patches": settings.shuffle_patches,
            "mix_alpha": self.mix_alpha,
            "cutmix": self.cutmix,
            **({"even_batches": True} if settings.even_batches else {}),
        }

    @property
    def _own_epochs(self) -> int:
        assert self.settings.epochs is not None, "Training.check requires epochs where steps is None"
        return self.settings.epochs

    @property
    def _moves_by_epoch(self) -> bool:
        in_epochs = self.steps is None and self.settings.steps is None
        return in_epochs and self.settings.schedule_unit == ScheduleUnit.epoch

    def _warm_up_of(self, ticks: int) -> int:
        if self.settings.warmup == 0:
            return 0
        return min(max(1, round(self.settings.warmup * ticks)), ticks - 1)

    def _warm_up_factor(self, tick: int, ticks: int) -> float:
        if self.settings.warmup_start is None:
            return (tick + 1) / (ticks + 1)
        return self.settings.warmup_start + (1 - self.settings.warmup_start) * tick / ticks
