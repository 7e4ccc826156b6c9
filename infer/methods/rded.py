"""RDED: images tiled from the crops of real images that a teacher classifies best (Sun et al., CVPR 2024)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infer.config.checks import require, require_at_least
from infer.methods.method import Method
from infer.methods.registry import register

if TYPE_CHECKING:
    from infer.context import Context
    from infer.methods.sets.rded_set import RdedSet


@register("rded")
@dataclass
class RdedMethod(Method):
    """Settings of RDED."""

    factor: int = 1
    """Number of patches along each edge of an image; it must divide the image size. A patch is a crop that is resized
    to 1/factor of the edge."""
    crops: int = 5
    """Number of random crops per image, of which the best is kept; ``num_crop`` in the published code."""
    images_per_class: int = 300
    """Largest number of images per class that are scored, drawn at random; ``mipc`` in the published code."""
    scale_min: float = 0.08
    """Smallest area of a crop as a fraction of the image's area, in (0, 1]; the largest is 1."""

    def __post_init__(self) -> None:
        require_at_least(1, "method.factor", self.factor)
        require_at_least(1, "method.crops", self.crops)
        require_at_least(1, "method.images_per_class", self.images_per_class)
        require(0 < self.scale_min <= 1, "method.scale_min", self.scale_min, "it must lie in (0, 1]")

    @property
    def signature_settings(self) -> dict[str, Any]:
        """Settings that the scores of the crops depend on, for their signatures."""
        return {
            "factor": self.factor,
            "crops": self.crops,
            "images_per_class": self.images_per_class,
            "scale_min": self.scale_min,
        }

    def distilled_set(self, context: "Context") -> "RdedSet":
        from infer.methods.sets.rded_set import RdedSet

        return RdedSet(context, self, self.requested_ipc(context), self.first_teacher(context))
