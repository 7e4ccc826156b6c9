"""Herding: real images whose mean feature follows the mean of their class (Welling 2009; iCaRL, CVPR 2017, alg. 4)."""

import torch
from torch import Tensor

from infer.methods.coreset import Coreset


def herd(features: Tensor, count: int) -> Tensor:
    """Rows of ``features`` [n, D], each the one that brings the mean of those taken nearest to the mean of all.

    int64 [count] in the order in which they are taken; no row comes twice, and of equals the first is taken.
    """
    centred = features - features.mean(0)
    squares = centred.square().sum(1)
    taken = torch.zeros_like(centred[0])  # the sum of those taken: the next one is to cancel it
    free = torch.ones_like(squares, dtype=torch.bool)
    order = []
    for _ in range(count):
        distances = squares + 2 * (centred @ taken)  # ||taken + row||², less what is the same for all rows
        best = distances.masked_fill(~free, torch.inf).argmin()
        order.append(best)
        taken = taken + centred[best]
        free[best] = False
    return torch.stack(order)


class HerdingSet(Coreset):
    """``per_class`` images of each class, by ``herd``."""

    method = "herding"
    choose = staticmethod(herd)
