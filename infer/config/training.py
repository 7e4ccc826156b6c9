"""Settings of the training loop that teachers (squeeze) and students (evaluate) share."""

from dataclasses import dataclass, fields
from enum import Enum
from typing import Any

from infer.config.checks import require, require_at_least, require_count, require_fraction, require_positive
from infer.ranks import ranks

_RECIPE = (
    "epochs",
    "steps",
    "batch_size",
    "optimizer",
    "lr",
    "weight_decay",
    "momentum",
    "schedule_unit",
    "warmup",
    "label_smoothing",
    "ema_decay",
    "crop_padding",
    "flip",
)
_NAMED_WHEN_USED = (
    "even_batches",
    "schedule",
    "warmup_start",
    "decay_norm_and_bias",
    "nesterov",
    "accumulate",
    "crop",
    "crop_scale_min",
    "crop_ratio_max",
    "shuffle_patches",
)
"""Settings that are part of the recipe only where they differ from the default, so that trainings that are older than
the setting keep their signatures."""


class Optimizer(str, Enum):
    """Optimisers that published protocols use."""

    sgd = "sgd"
    adamw = "adamw"


class Schedule(str, Enum):
    """Shape of the learning rate after the warm-up."""

    cosine = "cosine"
    half_cosine = "half_cosine"


class ScheduleUnit(str, Enum):
    """Interval at which the learning rate is updated: an epoch, as in most published code, or a step (an update)."""

    epoch = "epoch"
    step = "step"


class Crop(str, Enum):
    """Random crop of an image during training."""

    padded = "padded"
    resized = "resized"


class BatchNorm(str, Enum):
    """Images over which batch norm computes its statistics where several ranks share a batch."""

    sync = "sync"
    """The images of all ranks, so that results are those of one process."""
    per_rank = "per_rank"
    """Each rank's own images, as in torch's DataParallel; the running statistics of rank 0 are kept."""


class Normalise(str, Enum):
    """Data set whose mean and standard deviation normalise a network's input; ``dataset``: that of the run."""

    dataset = "dataset"
    cifar10 = "cifar10"
    imagenet = "imagenet"


@dataclass
class Training:
    """Settings of a training. Exactly one of ``epochs`` and ``steps`` gives its length, the other is null."""

    epochs: int | None = None
    """Number of passes over the training images."""
    steps: int | None = None
    """Number of updates of the weights."""
    batch_size: int = 64
    """Images per update."""
    even_batches: bool = False
    """True: divide the images of an epoch into batches that are as equal in size as possible, none above
    ``batch_size``. False: the last batch holds the remaining images, as in published code; the last 2 of 130 images
    then weigh as much as 64 images of another batch."""
    accumulate: int = 1
    """Number of parts in which a batch passes through the network, for batches that do not fit in memory; it must
    divide ``batch_size``. Batch norm uses the statistics of each part. The loss of a part is divided by this number,
    also in a short last batch with fewer parts (SRe2L, train_FKD.py:235)."""
    optimizer: Optimizer = Optimizer.adamw
    """``sgd`` (see ``momentum``) or ``adamw``, with betas (0.9, 0.999)."""
    lr: float = 1e-3
    """Peak learning rate."""
    weight_decay: float = 0.01
    """Weight decay of the optimiser, at least 0."""
    decay_norm_and_bias: bool = True
    """Apply weight decay to all parameters; false: not to those of one dimension, as in SRe2L on ImageNet and RDED."""
    momentum: float = 0.9
    """Momentum of SGD, in [0, 1); AdamW does not use it."""
    nesterov: bool = False
    """Use Nesterov momentum in SGD; published code of the field does not."""
    schedule: Schedule = Schedule.cosine
    """Learning rate after the warm-up. ``cosine``: decay to zero along half a cosine. ``half_cosine``: the first half
    of that decay, which ends at lr / 2 (RDED)."""
    schedule_unit: ScheduleUnit = ScheduleUnit.epoch
    """Interval at which the learning rate is updated; a training whose length is given in ``steps`` uses steps."""
    warmup: float = 0.0
    """Fraction of the training, in [0, 1), over which the learning rate rises linearly to the peak; 0: no warm-up."""
    warmup_start: float | None = None
    """Learning rate at the start of the warm-up as a fraction of the peak, in [0, 1), like torchvision's
    ``lr_warmup_decay``; null: the learning rate rises from zero, and is above zero at the first update."""
    label_smoothing: float = 0.0
    """Label smoothing of hard labels, in [0, 1); soft labels are not smoothed."""
    ema_decay: float | None = None
    """Decay per update, in [0, 1), of an exponential moving average of the weights, which is tested and kept in place
    of the last weights; null: no average."""
    shuffle_patches: int = 1
    """Number n of patches along each edge of an image. Before the crop, the n rows and then the n columns of patches
    are put into a random order (RDED's ShufflePatches). 1: images are not shuffled."""
    crop: Crop = Crop.padded
    """Random crop. ``padded``: torchvision's RandomCrop from an image with a black border; ``resized``: torchvision's
    RandomResizedCrop (bilinear)."""
    crop_padding: int = 4
    """Width of the border in pixels for ``crop=padded``; 0: no random crop."""
    crop_scale_min: float = 0.08
    """Smallest area of a crop as a fraction of the image's area, in (0, 1], for ``crop=resized``; the largest is 1."""
    crop_ratio_max: float = 4 / 3
    """Largest aspect ratio of a crop, at least 1, for ``crop=resized``; the smallest is 1 / crop_ratio_max."""
    flip: bool = True
    """Mirror images left to right with probability 1/2."""
    batch_norm: BatchNorm = BatchNorm.sync
    """Images over which batch norm computes its statistics where several ranks share a batch; ``per_rank`` is for
    protocols whose published code uses DataParallel."""
    normalise: Normalise = Normalise.dataset
    """Mean and standard deviation that normalise the network's input in training and in tests: those of the run's data
    set, or on any data set those of ImageNet (as in RDED) or CIFAR-10 (as in SRe2L, also on CIFAR-100). Teachers and
    students each have this setting."""
    test_every: int = 10
    """Interval between two tests, in epochs, or in steps where the length is given in ``steps``. Tests are made at the
    end of an epoch, and always after the last one."""
    test_from: float = 0.0
    """Fraction of the training, in [0, 1), before the first test: RDED tests in the last fifth only."""

    def check(self, group: str) -> None:
        """Check the range of every setting; ``group`` is the config group that messages name."""
        require(
            (self.epochs is None) != (self.steps is None),
            f"{group}.epochs={self.epochs} together with {group}.steps",
            self.steps,
            "give exactly one of the two and set the other to null",
        )
        for key in ("epochs", "steps"):
            require_count(f"{group}.{key}", getattr(self, key))
        for key in ("batch_size", "test_every", "accumulate", "shuffle_patches", "crop_ratio_max"):
            require_at_least(1, f"{group}.{key}", getattr(self, key))
        for key in ("lr", "crop_scale_min"):
            require_positive(f"{group}.{key}", getattr(self, key))
        for key in ("weight_decay", "crop_padding"):
            require_at_least(0, f"{group}.{key}", getattr(self, key))
        for key in ("momentum", "warmup", "warmup_start", "label_smoothing", "ema_decay", "test_from"):
            require_fraction(f"{group}.{key}", getattr(self, key))
        require(self.crop_scale_min <= 1, f"{group}.crop_scale_min", self.crop_scale_min, "it may be at most 1")
        require(
            not self.nesterov or self.optimizer is Optimizer.adamw or self.momentum > 0,
            f"{group}.nesterov",
            "true",
            f"it needs {group}.momentum above 0, and it is {self.momentum:g}",
        )
        require(
            self.batch_size is None or self.batch_size % self.accumulate == 0,
            f"{group}.accumulate",
            self.accumulate,
            f"it must divide {group}.batch_size={self.batch_size}",
        )

    def recipe(self) -> dict[str, Any]:
        """The settings that the trained weights depend on, for signatures.

        Settings without effect are None or left out. Settings in ``_NAMED_WHEN_USED``, which were added later, are
        included only where they differ from their default.
        """
        idle = self._without_effect()
        recipe = {key: None if key in idle else getattr(self, key) for key in _RECIPE}
        defaults = {field.name: field.default for field in fields(Training)}
        used = {key: getattr(self, key) for key in _NAMED_WHEN_USED if key not in idle}
        if self.batch_norm is BatchNorm.per_rank and ranks.world > 1:
            used["batch_norm"] = f"per_rank of {ranks.world}"
        return recipe | {key: value for key, value in used.items() if value != defaults[key]}

    def _without_effect(self) -> set[str]:
        idle = set()
        if self.optimizer is Optimizer.adamw:
            idle |= {"momentum", "nesterov"}
        if self.steps is not None:
            idle.add("schedule_unit")
        if self.warmup == 0:
            idle.add("warmup_start")
        if self.weight_decay == 0:
            idle.add("decay_norm_and_bias")
        idle |= {"crop_padding"} if self.crop is Crop.resized else {"crop_scale_min", "crop_ratio_max"}
        return idle
