"""The optimisation of compensators: one image-sized tensor per natural subset that is added to all its images.

For every subset P_k a compensator u_k, zero at first, minimises CE(teacher(roll(P_k + u_k)), class) + bn_weight *
matching penalty over the C images of the subset (INFER, ICLR 2025, eq. 5; zhangxin-xd/UFC,
ufc_generation/ufc_cifar.py).
"""

import torch
from torch import Tensor

from infer.methods.optimisation import Problem
from infer.methods.views import Views


def compensation(natural: Tensor, views: Views, bounds: tuple[Tensor, Tensor] | None = None) -> Problem:
    """The problem whose solution [G, 1, 3, H, W] are the compensators of the subsets ``natural`` [G, C, 3, H, W].

    ``natural`` is normalised, image c of a subset of class c. Kept beside the losses: ``norm`` (||u||_2) and, given
    ``bounds``, the lowest and highest valid value of each channel, ``clipped_share`` (of the values of P + u).
    """

    def measure(u: Tensor) -> dict[str, Tensor]:
        values = {"norm": u.flatten(1).norm(dim=1)}
        if bounds:
            low, high = (bound.to(u).view(3, 1, 1) for bound in bounds)
            composed = natural.to(u.dtype) + u
            values["clipped_share"] = ((composed < low) | (composed > high)).float().mean((1, 2, 3, 4))
        return values

    classes = torch.arange(natural.shape[1])
    return Problem(natural.new_zeros(natural[:, :1].shape), classes, views, base=natural, measure=measure)
