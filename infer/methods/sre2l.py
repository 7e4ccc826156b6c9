"""SRe2L: images recovered from noise by matching a teacher's batch-norm statistics (NeurIPS 2023), and CDA.

CDA (TMLR 2024) is the same method with crops that become smaller during the optimisation.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infer.config.checks import require, require_at_least
from infer.methods.optimisation_settings import SynthesisMethod
from infer.methods.registry import register

if TYPE_CHECKING:
    from infer.context import Context
    from infer.methods.sets.synthesis import SynthesisedSet


@register("sre2l")
@dataclass
class Sre2lMethod(SynthesisMethod):
    """Settings of SRe2L and, with ``crop_milestone`` above 0, of CDA."""

    two_sided_jitter: bool = False
    """Roll images by -jitter_px..jitter_px instead of 0..jitter_px pixels, as in the published code for
    Tiny-ImageNet."""
    crop_milestone: float = 0.0
    """Fraction of the iterations, in [0, 1], over which CDA's curriculum lowers the smallest crop from the whole image
    to ``crop_scale_min``, along a cosine. 0: no curriculum, the default of CDA's scripts; CDA's published commands use
    1."""
    group: int = 1
    """Number of consecutive image indices that are optimised in one batch. Each index has its own batch-norm
    statistics. A group is always made as a whole."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(1, "method.group", self.group)
        require(0 <= self.crop_milestone <= 1, "method.crop_milestone", self.crop_milestone, "it must lie in [0, 1]")
        require(
            self.crop_milestone == 0 or self.crop_scale_min is not None,
            "method.crop_milestone",
            self.crop_milestone,
            "it says when crops may be as small as method.crop_scale_min, which is null; give both or neither",
        )

    @property
    def signature_settings(self) -> dict[str, Any]:
        settings = super().signature_settings
        if self.two_sided_jitter:
            settings["two_sided_jitter"] = True
        if self.crop_milestone:
            settings["crop_milestone"] = self.crop_milestone
        return settings

    def distilled_set(self, context: "Context") -> "SynthesisedSet":
        from infer.methods.sets.recovery import recovered_set

        return recovered_set(context, self, self.requested_ipc(context), self.first_teacher(context))
