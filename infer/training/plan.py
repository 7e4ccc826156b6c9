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
    """Number of updates in place of the length in ``settings``, for a baseline that is trained as long as another set;
    None: the length in ``settings``."""
    mix_alpha: float | None = None
    """Both parameters of the Beta distribution of mixing weights; None: images are not mixed."""
    cutmix: bool = False
    """Mix by CutMix instead of MixUp."""
    growth: Growth | None = None
    """Sizes of the images under progressive resizing; None: images always have their own size."""

    @property
    def batch_sizes(self) -> list[int]:
        """Sizes of the batches of one epoch.

        Batch norm cannot use a batch of one image, so a second image is added to a single one that is left over; it is
        then shown twice in that epoch. Sets of one image and ``batch_size=1`` are not changed.
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
        """Positions of the images of each batch in the order of an epoch."""
        return list(starmap(slice, pairwise(accumulate(self.batch_sizes, initial=0))))

    @property
    def images_per_epoch(self) -> int:
        """Number of images shown in a whole epoch."""
        return sum(self.batch_sizes)

    @property
    def part_size(self) -> int:
        """Number of images that pass the network together."""
        return self.settings.batch_size // self.settings.accumulate

    @property
    def largest_part(self) -> int:
        """Largest number of images that pass the network together: ``part_size``, or all images of a smaller set."""
        return min(self.part_size, self.num_images)

    @property
    def steps_per_epoch(self) -> int:
        """Number of updates in a whole epoch."""
        return math.ceil(self.num_images / self.settings.batch_size)

    @property
    def total_steps(self) -> int:
        """Number of updates in the whole training."""
        if self.steps is not None:
            return self.steps
        if self.settings.steps is not None:
            return self.settings.steps
        return self._own_epochs * self.steps_per_epoch

    @property
    def epochs(self) -> int:
        """Number of epochs; with a length in steps, training may end within the last one."""
        return math.ceil(self.total_steps / self.steps_per_epoch)

    @property
    def samples_seen(self) -> int:
        """Number of images shown in the whole training, with repetitions."""
        whole_epochs, rest = divmod(self.total_steps, self.steps_per_epoch)
        return whole_epochs * self.images_per_epoch + sum(self.batch_sizes[:rest])

    def size_in(self, epoch: int, size: int) -> int:
        """Height and width of the images in ``epoch``, where their own size is ``size`` x ``size`` pixels."""
        return size if self.growth is None else self.growth.size_in(epoch, self.epochs, size)

    def sizes(self, size: int) -> list[int]:
        """``size_in`` for each epoch."""
        return [self.size_in(epoch, size) for epoch in range(self.epochs)]

    def whole_images(self, shown: int, size: int) -> int:
        """Number of images of ``size`` x ``size`` pixels with as many pixels as the first ``shown`` images.

        The progress of a training with progressive resizing is counted by it.
        """
        if self.growth is None:
            return shown
        return round(sum(images * side**2 for side, images in self.images_by_size(shown, size).items()) / size**2)

    def images_by_size(self, shown: int, size: int) -> dict[int, int]:
        """Numbers of images among the first ``shown`` of the training, by their height and width.

        ``size`` is the height and width of the images themselves.
        """
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
        """True if a test follows ``epoch``.

        A test follows the last epoch, and every epoch in which an interval of ``test_every`` ends after the fraction
        ``test_from`` of the training. Where ``steps`` replaces the length in the settings, intervals are scaled to it,
        so that compared trainings are tested equally often.
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
        """Number of epochs that a test follows."""
        return sum(map(self.is_tested, range(self.epochs)))

    def lr_at(self, step: int) -> float:
        """Learning rate of update ``step``: a linear warm-up, then half a cosine from the peak towards zero.

        Without warm-up it is lr/2 · (1 + cos(pi · t/T)), as in ``torch.optim.lr_scheduler.CosineAnnealingLR``, where t
        counts epochs or steps (always steps where the length is given in steps). With ``schedule=half_cosine`` T is
        doubled, so that it ends at lr/2. The warm-up rises linearly to the peak, the first value of the cosine, from
        ``warmup_start`` or from zero, which itself is not used. It lasts at least one epoch or step and leaves at least
        one to the cosine.
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
        """Settings that an epoch's random numbers depend on, besides the stream and the image size; JSON-ready."""
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
