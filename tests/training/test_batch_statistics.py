"""Statistics of parts add up to those of the whole."""

import torch
from torch import Tensor

from infer.training.batch_statistics import Statistics, group_statistics, pooled

SIZES = [3, 1, 3]
SHARES = torch.tensor(SIZES, dtype=torch.float64) / sum(SIZES)


def in_parts(x: Tensor, shares: Tensor) -> Statistics:
    """Statistics of x [G, C, channels, H, W], whose C images are cut into parts of uneven size."""
    return pooled([group_statistics(part.flatten(0, 1), len(x)) for part in x.split(SIZES, dim=1)], shares)


def test_parts_of_uneven_size() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 7, 4, 3, 5, dtype=torch.float64) + torch.arange(7).view(7, 1, 1, 1)
    expected = x.mean((1, 3, 4)), x.var((1, 3, 4), correction=0)
    torch.testing.assert_close(tuple(in_parts(x, SHARES)), expected, rtol=1e-13, atol=1e-14)


def test_a_large_mean_costs_the_variance_no_digits() -> None:
    """mean(x^2) - mean(x)^2 in float32 would leave nothing of a variance of 1 beside a mean of 10,000."""
    torch.manual_seed(0)
    x = 1e4 + torch.randn(1, 7, 2, 16, 16)
    naive = x.square().mean((1, 3, 4)) - x.mean((1, 3, 4)).square()
    expected = x.double().var((1, 3, 4), correction=0).float()
    assert (naive - expected).abs().min() > 0.1
    torch.testing.assert_close(in_parts(x, SHARES.float()).var, expected, rtol=1e-2, atol=0)
