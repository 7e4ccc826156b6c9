"""SRe2L: images recovered from noise by matching a teacher's batch-norm statistics (NeurIPS 2023), and CDA.

CDA (TMLR 2024) is the same method with crops that become smaller in the course of the optimisation.
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
    """Settings of SRe2L; with ``crop_milestone`` above 0 they are those of CDA."""

    two_sided_jitter: bool = False
    """Images are rolled by -jitter_px..jitter_px pixels instead, as the published code does on Tiny-ImageNet."""
    crop_milestone: float = 0.0
    """CDA's curriculum: in this share of the iterations the smallest crop falls from the whole image to crop_scale_min
    along a cosine. 0, the default of CDA's scripts, is no curriculum; its published commands say 1."""
    group: int = 1
    """Consecutive image indices optimised in one batch, with statistics of their own; a group is made whole."""

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
