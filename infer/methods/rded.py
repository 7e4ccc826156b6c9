"""RDED: the crops of real images that a teacher finds most realistic, tiled (Sun et al., CVPR 2024)."""

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
    """Patches along an edge of an image; a patch is a crop resized to 1/factor of it, which must be whole pixels."""
    crops: int = 5
    """Random crops tried of every image, of which the best is kept; ``num_crop`` in the published code."""
    images_per_class: int = 300
    """At most so many images of a class are scored, drawn at random; ``mipc`` in the published code."""
    scale_min: float = 0.08
    """Smallest share of the image's area that a crop covers; the largest is 1."""

    def __post_init__(self) -> None:
        require_at_least(1, "method.factor", self.factor)
        require_at_least(1, "method.crops", self.crops)
        require_at_least(1, "method.images_per_class", self.images_per_class)
        require(0 < self.scale_min <= 1, "method.scale_min", self.scale_min, "it must lie in (0, 1]")

    @property
    def signature_settings(self) -> dict[str, Any]:
        """Settings that the scores of crops depend on, for their signatures."""
        return {
            "factor": self.factor,
            "crops": self.crops,
            "images_per_class": self.images_per_class,
            "scale_min": self.scale_min,
        }

    def distilled_set(self, context: "Context") -> "RdedSet":
        from infer.methods.sets.rded_set import RdedSet

        return RdedSet(context, self, self.requested_ipc(context), self.first_teacher(context))
