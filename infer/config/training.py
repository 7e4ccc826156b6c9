"""Settings of the one training loop that teachers (squeeze) and students (evaluate) share."""

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
"""In the recipe only with another value than the default, so that trainings older than the setting keep their names."""


class Optimizer(str, Enum):
    """The optimisers of the field's protocols."""

    sgd = "sgd"
    adamw = "adamw"


class Schedule(str, Enum):
    """The shape of the learning rate after the warm-up."""

    cosine = "cosine"
    half_cosine = "half_cosine"


class ScheduleUnit(str, Enum):
    """Interval at which the learning rate moves along its cosine: an epoch (as in most published code) or a step."""

    epoch = "epoch"
    step = "step"


class Crop(str, Enum):
    """Random crop of an image during training."""

    padded = "padded"
    resized = "resized"


class BatchNorm(str, Enum):
    """Images whose statistics batch norm takes where several ranks share a batch."""

    sync = "sync"
    """The images of all ranks: the numbers are those of one process."""
    per_rank = "per_rank"
    """Each rank's own, as under torch's DataParallel; rank 0's running statistics are kept."""


class Normalise(str, Enum):
    """Source of the mean and standard deviation that a network's input is normalised with."""

    dataset = "dataset"
    cifar10 = "cifar10"
    imagenet = "imagenet"


@dataclass
class Training:
    """Settings of one training; exactly one of ``epochs`` and ``steps`` gives the length."""

    epochs: int | None = None
    """Passes over the training images."""
    steps: int | None = None
    """Updates of the weights."""
    batch_size: int = 64
    even_batches: bool = False
    """Divide the images of an epoch into batches that are as equal as possible, none above ``batch_size``. false: the
    last batch has what is left, as in the published codes, where the two images that are left of 130 weigh as much as
    the 64 before them."""
    accumulate: int = 1
    """Parts in which a batch goes through the network, for batches that do not fit in memory. Batch norm sees a part;
    each part's loss is divided by this number, also where a short last batch has fewer (SRe2L, train_FKD.py:235)."""
    optimizer: Optimizer = Optimizer.adamw
    lr: float = 1e-3
    """Peak learning rate."""
    weight_decay: float = 0.01
    decay_norm_and_bias: bool = True
    """false: no weight decay on tensors of one dimension (SRe2L on ImageNet, RDED)."""
    momentum: float = 0.9
    """Momentum of SGD; AdamW has betas (0.9, 0.999)."""
    nesterov: bool = False
    """Momentum of SGD in Nesterov's form, which the field's code does not use."""
    schedule: Schedule = Schedule.cosine
    """``cosine`` ends at zero, ``half_cosine`` follows the first half of it and ends at lr / 2 (RDED)."""
    schedule_unit: ScheduleUnit = ScheduleUnit.epoch
    warmup: float = 0.0
    """Fraction of the training over which the learning rate rises linearly."""
    warmup_start: float | None = None
    """Fraction of the peak that the warm-up begins with, torchvision's ``lr_warmup_decay``; null: it rises from zero,
    and the first update is made above it."""
    label_smoothing: float = 0.0
    """Smoothing of hard labels; soft labels are left as they are."""
    ema_decay: float | None = None
    """Per-step decay of an average of the weights, which is then tested and kept instead of the last weights."""
    shuffle_patches: int = 1
    """The rows of patches of an image, this many, and then its columns are put into a random order (RDED's
    ShufflePatches, before the crop); 1 leaves images as they are."""
    crop: Crop = Crop.padded
    """``padded``: torchvision's RandomCrop from a black border; ``resized``: its RandomResizedCrop (bilinear)."""
    crop_padding: int = 4
    """Pixels of border around the image for ``crop=padded``; 0 turns cropping off."""
    crop_scale_min: float = 0.08
    """Least share of the image's area for ``crop=resized``; the greatest is 1."""
    crop_ratio_max: float = 4 / 3
    """Greatest aspect ratio for ``crop=resized``; the least is 1 / crop_ratio_max."""
    flip: bool = True
    """Mirror half of the images left to right."""
    batch_norm: BatchNorm = BatchNorm.sync
    """Statistics of batch norm with several ranks: ``per_rank`` for protocols that were run with DataParallel."""
    normalise: Normalise = Normalise.dataset
    """Mean and std that the network is trained and tested with, whatever the data set: ImageNet's (RDED), or CIFAR-10's
    on CIFAR-100 too (SRe2L). Teachers and students have a setting each."""
    test_every: int = 10
    """Epochs between two tests, or steps where the length is in steps; the end is always tested."""
    test_from: float = 0.0
    """Share of the training that passes before the first test: RDED tests in the last fifth only."""

    def check(self, group: str) -> None:
        """Check every range; ``group`` is the config group that the messages name."""
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
            f"it needs {group}.momentum above 0, and that is {self.momentum:g}",
        )
        require(
            self.batch_size is None or self.batch_size % self.accumulate == 0,
            f"{group}.accumulate",
            self.accumulate,
            f"it must divide {group}.batch_size={self.batch_size}",
        )

    def recipe(self) -> dict[str, Any]:
        """The settings that the trained weights depend on, for a signature; those without effect are None or left out.

        Settings that came later are named only where they differ from their default.
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
