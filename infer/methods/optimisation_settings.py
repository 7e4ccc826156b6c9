"""Settings of the methods that optimise images through a frozen teacher."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from infer.config.checks import require, require_at_least, require_count, require_positive
from infer.methods.method import Method


class GenerationPrecision(str, Enum):
    """Floating-point format of the optimisation; bf16 is used by convolutions and linear layers only."""

    bf16 = "bf16"
    fp32 = "fp32"
    fp64 = "fp64"


@dataclass
class OptimisationSettings:
    """Settings of the optimisation of images through a teacher by Adam."""

    iterations: int = 1000
    """Number of steps of Adam."""
    lr: float = 0.25
    """Initial learning rate of Adam, in normalised units of the images; it decays to zero along a cosine."""
    bn_weight: float = 1.0
    """Weight of batch-norm matching in the loss, where the cross-entropy has weight 1; r_bn in the published code."""
    first_bn_multiplier: float = 10.0
    """Weight of the first BatchNorm layer in batch-norm matching; the other layers have weight 1."""
    jitter_px: int = 4
    """Largest roll of the images: in every iteration they are rolled by 0..jitter_px pixels along each axis."""
    crop_scale_min: float | None = None
    """Smallest area of a random crop as a fraction of the image's area, in (0, 1]. Before the roll, the crop is resized
    to the whole image and mirrored with probability 1/2. Images of different classes that are optimised together share
    one draw. null: no crop and no mirroring."""
    precision: GenerationPrecision = GenerationPrecision.fp32
    """Floating-point format of the optimisation."""
    compile: bool | None = None
    """Compile the loss with torch.compile; null: only where the number of iterations, images and pixels is large enough
    to repay the compilation."""

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
        """Settings that the optimised images depend on, for signatures; settings without effect are left out."""
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
    """Settings of a method that optimises whole images, each of one class, through the first teacher."""

    bn_weight: float = 0.01
    batch_size: int = 100
    """Number of classes of which one image each is optimised together; the matched batch-norm statistics are computed
    over these images."""

    def matched_teachers(self, ensemble: list[str]) -> list[str]:
        return ensemble[:1]

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(1, "method.batch_size", self.batch_size)
