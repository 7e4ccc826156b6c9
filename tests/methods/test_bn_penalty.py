"""The batch-norm penalty of one layer: its two forms, its gradient, and groups that pass in parts."""

import pytest
import torch

from infer.methods.optimisation.bn_penalty import matching_penalty, one_pass_penalty
from infer.training.batch_statistics import group_statistics


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("penalty", [matching_penalty, one_pass_penalty])
@pytest.mark.parametrize("variance_weight", [1.0, 11.0])
def test_gradient_of_both_forms_by_finite_differences(
    penalty, memory_format: torch.memory_format, variance_weight: float
) -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 3, 2, 3, dtype=torch.float64).contiguous(memory_format=memory_format).requires_grad_()
    mean, var = torch.randn(3, dtype=torch.float64), torch.rand(3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: penalty(x, mean, var, 2, variance_weight), x)


def test_both_forms_agree() -> None:
    torch.manual_seed(0)
    x = 3 + torch.randn(6, 5, 4, 4, dtype=torch.float64)
    mean, var = torch.randn(5, dtype=torch.float64), torch.rand(5, dtype=torch.float64)
    for weight in (1.0, 11.0):
        forms = matching_penalty(x, mean, var, 3, weight), one_pass_penalty(x, mean, var, 3, weight)
        torch.testing.assert_close(*forms)


def test_parts_of_a_group_have_its_penalty_and_together_its_gradient() -> None:
    torch.manual_seed(0)
    x = torch.randn(5, 3, 2, 3, dtype=torch.float64)
    running = torch.randn(3, dtype=torch.float64), torch.rand(3, dtype=torch.float64)
    whole, parts = x.clone().requires_grad_(), [part.clone().requires_grad_() for part in (x[:3], x[3:])]
    penalty = matching_penalty(whole, *running, 1, 11.0)
    of_parts = [matching_penalty(part, *running, 1, 11.0, group_statistics(x, 1)) for part in parts]
    torch.testing.assert_close(torch.cat(of_parts), penalty.expand(2), rtol=1e-13, atol=0)
    (penalty + 3 / 5 * of_parts[0] + 2 / 5 * of_parts[1]).sum().backward()
    torch.testing.assert_close(torch.cat([part.grad for part in parts]), whole.grad, rtol=1e-13, atol=1e-15)


def test_gradient_is_zero_where_the_statistics_match() -> None:
    """A norm has no gradient at zero; the penalty takes zero there, not NaN."""
    x = torch.randn(4, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    mean, var = group_statistics(x.detach(), 1)
    matching_penalty(x, mean[0], var[0], 1).sum().backward()
    assert torch.equal(x.grad, torch.zeros_like(x))


def test_gradient_stays_channels_last() -> None:
    x = torch.randn(4, 8, 5, 5).contiguous(memory_format=torch.channels_last).requires_grad_()
    (gradient,) = torch.autograd.grad(matching_penalty(x, torch.zeros(8), torch.ones(8), 2).sum(), x)
    assert gradient.is_contiguous(memory_format=torch.channels_last)
