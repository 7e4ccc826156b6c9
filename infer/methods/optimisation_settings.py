"""Settings of the methods that optimise images through a frozen teacher."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from infer.config.checks import require, require_at_least, require_count, require_positive
from infer.methods.method import Method


class GenerationPrecision(str, Enum):
    """Floating-point format of the optimisation; bf16 is that of convolutions and linear layers alone."""

    bf16 = "bf16"
    fp32 = "fp32"
    fp64 = "fp64"


@dataclass
class OptimisationSettings:
    """Settings of one optimisation by Adam."""

    iterations: int = 1000
    lr: float = 0.25
    """Peak learning rate of Adam, in normalised units; a cosine takes it to zero."""
    bn_weight: float = 1.0
    """Weight of batch-norm matching beside cross-entropy; r_bn in the published codes."""
    first_bn_multiplier: float = 10.0
    """Weight of the first BatchNorm layer in batch-norm matching; the others weigh 1."""
    jitter_px: int = 4
    """Images are rolled by 0..jitter_px pixels along both axes, drawn anew in every iteration."""
    crop_scale_min: float | None = None
    """Before the roll, a crop of at least this share of the area is resized to the whole image and mirrored with
    probability 1/2; one draw serves all images of a batch; null: neither crop nor mirror."""
    precision: GenerationPrecision = GenerationPrecision.fp32
    compile: bool | None = None
    """Compile the loss with torch.compile; null: when the planned work is long enough to repay the compilation."""

    def __post_init__(self) -> None:
        require_count("method.iterations", self.iterations)
        require_positive("method.lr", self.lr)
        require_at_least(0, "method.bn_weight", self.bn_weight)
        require_at_least(0, "method.first_bn_multiplier", self.first_bn_multiplier)
        require_at_least(0, "method.jitter_px", self.jitter_px)
        require(
            self.crop_scale_min is None or 0 < self.crop_scale_min <= 1,
            "method.crop_scale_min",
            self.crop_scale_min,
            "it must lie in (0, 1], or be null",
        )

    @property
    def signature_settings(self) -> dict[str, Any]:
        """Settings that the optimised images depend on, for signatures; a setting that has no effect is left out."""
        settings: dict[str, Any] = {
            "iterations": self.iterations,
            "lr": self.lr,
            "bn_weight": self.bn_weight,
            "first_bn_multiplier": self.first_bn_multiplier,
            "precision": self.precision,
            "jitter_px": self.jitter_px,
        }
        if self.crop_scale_min is not None:
            settings["crop_scale_min"] = self.crop_scale_min
        return settings


@dataclass
class SynthesisMethod(OptimisationSettings, Method):
    """A method that optimises whole images, each of one class, through the first teacher."""

    bn_weight: float = 0.01
    batch_size: int = 100
    """Classes optimised together, one image each; the statistics that are matched are those of these images."""

    def matched_teachers(self, ensemble: list[str]) -> list[str]:
        return ensemble[:1]

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(1, "method.batch_size", self.batch_size)
