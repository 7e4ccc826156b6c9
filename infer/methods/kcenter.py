"""k-center: real images that leave no image of their class far from the nearest one (Sener & Savarese, ICLR 2018)."""

import torch
from torch import Tensor

from infer.methods.coreset import Coreset


def k_centers(features: Tensor, count: int) -> Tensor:
    """Rows of ``features`` [n, D]: the one nearest to the mean, then always the one farthest from all taken.

    The greedy 2-approximation of the smallest covering radius (Gonzalez 1985). int64 [count] in the order in which
    they are taken; no row comes twice, and of equals the first is taken.
    """
    centre = (features - features.mean(0)).square().sum(1).argmin()
    order = [centre]
    to_nearest = torch.full_like(features[:, 0], torch.inf)
    for _ in range(count - 1):
        to_nearest = torch.minimum(to_nearest, (features - features[centre]).square().sum(1))
        to_nearest[centre] = -torch.inf  # below that of its duplicates, which are at distance zero
        centre = to_nearest.argmax()
        order.append(centre)
    return torch.stack(order)


class KCenterSet(Coreset):
    """``per_class`` images of each class, by ``k_centers``."""

    method = "kcenter"
    choose = staticmethod(k_centers)
