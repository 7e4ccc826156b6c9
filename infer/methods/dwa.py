"""DWA: real images optimised through a teacher whose weights were perturbed first (Du et al., NeurIPS 2024)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infer.config.checks import require_at_least
from infer.methods.optimisation_settings import SynthesisMethod
from infer.methods.registry import register

if TYPE_CHECKING:
    from infer.context import Context
    from infer.methods.sets.synthesis import SynthesisedSet


@register("dwa")
@dataclass
class DwaMethod(SynthesisMethod):
    """Settings of DWA."""

    variance_weight: float = 11.0
    """Weight of the variances in batch-norm matching, where the means have weight 1; r_var in the published code."""
    perturbation_steps: int = 12
    """Number of gradient ascent steps of the teacher's weights on the cross-entropy of the real images; 0: none."""
    perturbation_radius: float = 0.015
    """Sum of the lengths of these steps, in the Euclidean norm over all weights; rho in the published code."""
    accumulate_ascent_gradient: bool = False
    """Add the gradients of the images from all ascent steps to the images' gradient in the first iteration, as in the
    published code, which clears the gradients of the weights after each step but not those of the images
    (distillation_cifar.py, perterb.py)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(0, "method.variance_weight", self.variance_weight)
        require_at_least(0, "method.perturbation_steps", self.perturbation_steps)
        require_at_least(0, "method.perturbation_radius", self.perturbation_radius)

    @property
    def signature_settings(self) -> dict[str, Any]:
        settings = super().signature_settings | {
            "variance_weight": self.variance_weight,
            "perturbation": [self.perturbation_steps, self.perturbation_radius],
        }
        if self.accumulate_ascent_gradient and self.perturbation_steps:
            settings["accumulate_ascent_gradient"] = True
        return settings

    def distilled_set(self, context: "Context") -> "SynthesisedSet":
        from infer.methods.sets.perturbation import diversified_set

        return diversified_set(context, self, self.requested_training_images(context), self.first_teacher(context))
