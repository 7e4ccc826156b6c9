"""Dominance: how much compensators change the natural images that they are added to.

For teacher m and subset k, in normalised units and over the C images of the subset,

    norm ratio = rms |u_mk| / rms |P_kc|
    clipped    = share of the values of P_k + u_mk that are out of the valid range of pixels
    contrast   = variance of the values within a composed image, mean over images, over that of natural images
    diversity  = variance of a value over the composed images of a subset, mean over values, over that of natural images

Composed images are those that a student sees, clipped and through the set's codec. One compensator for all classes
leaves diversity at 1 but for clipping, so what is lost of it was drowned.

Warnings: norm ratio above 1, more compensator than image; clipped above 50 %, which a small compensator, as often above
zero as below, does not reach even on images of nothing but black and full brightness. Both are means over teachers and
subsets. The default run on digits has a norm ratio of 0.57 and 32 % of clipped values.
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
    """Norms, clipped values and variances of a set, by teacher and subset."""

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
    """The numbers of subset ``k``, [M] each."""
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
    """Mean of |image|^2 over images [1, n, 3, H, W]."""
    return images.flatten(2).square().sum(dim=2).mean()


def warnings_of(facts: Mapping[str, Any]) -> list[str]:
    """The warnings that ``weight_of`` gives cause for."""
    ratio, clipped = (torch.tensor(facts[key]).mean().item() for key in ("norm_ratio", "clipped_share"))
    found = []
    if ratio > MOST_RATIO:
        found.append(
            f"compensators outweigh the images that they are added to: their norm is {ratio:.2f} of the images', above "
            f"{MOST_RATIO:g}. Try a lower method.lr or fewer method.iterations"
        )
    if clipped > MOST_CLIPPED:
        found.append(
            f"{clipped:.0%} of the values of composed images are clipped, above {MOST_CLIPPED:.0%}: little of the "
            "images is left. Try a lower method.lr or fewer method.iterations"
        )
    return found
