"""The optimisation of compensators: one image-sized tensor per natural subset that is added to all its images.

For every subset P_k a compensator u_k, zero at first, minimises CE(teacher(roll(P_k + u_k)), class) + bn_weight *
matching penalty over the C images of the subset (INFER, ICLR 2025, eq. 5; zhangxin-xd/UFC,
ufc_generation/ufc_cifar.py).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from infer.methods.augmentation import Transforms
from infer.methods.objective import Problem


def compensation(
    natural: Tensor, transforms: Transforms, bounds: tuple[Tensor, Tensor] | None = None, class_chunk: int | None = None
) -> Problem:
    """The problem whose solution [G, 1, 3, H, W] are the compensators of the subsets ``natural`` [G, C, 3, H, W].

    ``natural`` is normalised, image c of a subset of class c. Kept beside the losses: ``norm`` (||u||_2) and, given
    ``bounds``, the lowest and highest valid value of each channel, ``clipped_share`` (of the values of P + u), for
    which no more than ``class_chunk`` images of a subset are composed at once.
    """

    def measure(u: Tensor) -> dict[str, Tensor]:
        values = {"norm": u.flatten(1).norm(dim=1)}
        if bounds:
            values["clipped_share"] = _clipped_share(natural.split(class_chunk or natural.shape[1], dim=1), u, *bounds)
        return values

    classes = torch.arange(natural.shape[1])
    return Problem(natural.new_zeros(natural[:, :1].shape), classes, transforms, base=natural, measure=measure)


def _clipped_share(chunks: Sequence[Tensor], u: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Of the values of all ``chunks`` [G, c, 3, H, W] + ``u``: float32 [G]."""
    low, high = (bound.to(u).view(3, 1, 1) for bound in (low, high))
    composed = (chunk.to(u.dtype) + u for chunk in chunks)
    clipped = sum(((images < low) | (images > high)).sum((1, 2, 3, 4)) for images in composed)
    return clipped / sum(chunk[0].numel() for chunk in chunks)
