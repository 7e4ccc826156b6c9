"""Settings of the one training loop that teachers (squeeze) and students (evaluate) share."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from infer.config.checks import require, require_at_least, require_fraction, require_positive

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


class Optimizer(str, Enum):
    """The optimisers of the field's protocols."""

    sgd = "sgd"
    adamw = "adamw"


class ScheduleUnit(str, Enum):
    """How often the learning rate moves along its cosine: once per epoch (as most published code does) or per step."""

    epoch = "epoch"
    step = "step"


@dataclass
class Training:
    """How a network is trained; exactly one of ``epochs`` and ``steps`` gives the length."""

    epochs: int | None = None
    """Passes over the training images."""
    steps: int | None = None
    """Updates of the weights."""
    batch_size: int = 64
    optimizer: Optimizer = Optimizer.adamw
    lr: float = 1e-3
    """Peak learning rate; a cosine takes it to zero."""
    weight_decay: float = 0.01
    momentum: float = 0.9
    """Of SGD, with Nesterov's form off as in the field's code; AdamW has betas (0.9, 0.999)."""
    schedule_unit: ScheduleUnit = ScheduleUnit.epoch
    warmup: float = 0.0
    """Fraction of the training over which the learning rate rises linearly from zero."""
    label_smoothing: float = 0.0
    """Of hard labels; soft labels are left as they are."""
    ema_decay: float | None = None
    """Per-step decay of an average of the weights, which is then tested and kept instead of the last weights."""
    crop_padding: int = 4
    """Pixels of black border from which a crop of the image's size is cut; 0 turns cropping off."""
    flip: bool = True
    """Mirror half of the images left to right."""
    test_every: int = 10
    """Epochs between two tests, or steps where the length is in steps; the end is always tested."""

    def check(self, group: str) -> None:
        """Check every range; ``group`` is the config group that the messages name."""
        require(
            (self.epochs is None) != (self.steps is None),
            f"{group}.epochs={self.epochs} together with {group}.steps",
            self.steps,
            "give exactly one of the two and set the other to null",
        )
        for key in ("epochs", "steps", "batch_size", "test_every"):
            require_at_least(1, f"{group}.{key}", getattr(self, key))
        require_positive(f"{group}.lr", self.lr)
        for key in ("weight_decay", "crop_padding"):
            require_at_least(0, f"{group}.{key}", getattr(self, key))
        for key in ("momentum", "warmup", "label_smoothing", "ema_decay"):
            require_fraction(f"{group}.{key}", getattr(self, key))

    def recipe(self) -> dict[str, Any]:
        """The settings that the trained weights depend on, for a signature; those without effect are None."""
        without_effect = set()
        if self.optimizer is Optimizer.adamw:
            without_effect.add("momentum")
        if self.steps is not None:
            without_effect.add("schedule_unit")
        return {key: None if key in without_effect else getattr(self, key) for key in _RECIPE}
