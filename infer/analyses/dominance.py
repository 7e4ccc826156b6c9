"""Dominance: the amount by which compensators change the natural images that they are added to.

For teacher m and subset k, in normalised units and over the C images of the subset:

    norm ratio = rms |u_mk| / rms |P_kc|
    clipped    = fraction of the values of P_k + u_mk outside the valid range of pixels
    contrast   = V(composed) / V(natural), V: variance of the values within an image, mean over images
    diversity  = W(composed) / W(natural), W: variance of a value over the images of a subset, mean over values

Composed images are those that students see, after clipping and compression by the set's codec. Adding the same
compensator to all classes does not change diversity, so a diversity below 1 is the effect of clipping.

There is a warning for a norm ratio above 1, where the compensator is larger than the image, and for clipped values
above 50 %. A small compensator, which is as often positive as negative, does not reach this even on images of only
black and full brightness. Both numbers are means over teachers and subsets. In the default run on digits the norm ratio
is 0.57, and 32 % of the values are clipped.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from infer.analyses.base import Analysis
from infer.analyses.numbers import plain
from infer.analyses.parts import Parts, parts_of, require_compensators
from infer.config import AnalysisName
from infer.distilled.compose import compose, enlarged
from infer.methods.sets.base import DistilledArtefact
from infer.methods.sets.compensators import clipped_share

MOST_RATIO, MOST_CLIPPED = 1.0, 0.5


class Dominance(Analysis):
    """Norms of compensators, clipped values and variances of composed images, by teacher and subset."""

    title = AnalysisName.dominance

    def __init__(self, images: DistilledArtefact) -> None:
        require_compensators(self.title, images)
        super().__init__(images)

    def measure(self) -> dict[str, Any]:
        return weight_of(parts_of(self.images))


def weight_of(parts: Parts) -> dict[str, Any]:
    """``norm_ratio``, ``clipped_share`` in [0, 1], ``contrast`` and ``diversity``, each [M, K]."""
    measured = [_of_subset(parts, k) for k in range(len(parts.natural))]
    found: dict[str, Any] = {key: plain(torch.stack([each[key] for each in measured], dim=1)) for key in measured[0]}
    return {"teachers": parts.teachers, "limits": {"norm_ratio": MOST_RATIO, "clipped_share": MOST_CLIPPED}} | found


def _of_subset(parts: Parts, k: int) -> dict[str, Tensor]:
    """The numbers for subset ``k``, each [M]."""
    pixels, added = parts.natural[k : k + 1], parts.compensators[:, k : k + 1]
    natural = parts.normalisation.normalise(pixels)
    low, high = (bound.flatten() for bound in parts.normalisation.valid_range)
    us = [enlarged(u if u.dim() == 5 else u.unsqueeze(1), natural.shape[-1]) for u in added]
    seen = compose(pixels, added, parts.normalisation, parts.codec).unflatten(0, (len(us) + 1, -1))
    contrast = seen.flatten(2).var(dim=2, correction=0).mean(dim=1)
    diversity = seen.var(dim=1, correction=0).flatten(1).mean(dim=1)
    return {
        "norm_ratio": torch.stack([_mean_square(u) for u in us]).div(_mean_square(natural)).sqrt(),
        "clipped_share": torch.cat([clipped_share([natural], u, low, high) for u in us]),
        "contrast": contrast[1:] / contrast[0],
        "diversity": diversity[1:] / diversity[0],
    }


def _mean_square(images: Tensor) -> Tensor:
    """Mean of |image|^2 over ``images`` [1, n, 3, H, W]."""
    return images.flatten(2).square().sum(dim=2).mean()


def warnings_of(facts: Mapping[str, Any]) -> list[str]:
    """Warnings about the ``facts`` of ``weight_of``."""
    ratio, clipped = (torch.tensor(facts[key]).mean().item() for key in ("norm_ratio", "clipped_share"))
    found = []
    if ratio > MOST_RATIO:
        found.append(
            f"compensators outweigh the images that they are added to: their norm is {ratio:.2f} times that of "
            f"the images, above {MOST_RATIO:g}. Try a lower method.lr or fewer method.iterations"
        )
    if clipped > MOST_CLIPPED:
        found.append(
            f"{clipped:.0%} of the values of composed images are clipped, above {MOST_CLIPPED:.0%}: little of the "
            "images is left. Try a lower method.lr or fewer method.iterations"
        )
    return found
