"""DWA's perturbation: steps of a given length up the loss, in a copy of the teacher."""

import pytest
import torch
from plain_optimisation import CLASSES, SIZE, smooth_teacher
from torch import Tensor, nn
from torch.nn import functional as F

from infer.methods.sets.perturbation import perturbed

TARGETS = torch.arange(CLASSES)


@pytest.fixture
def teacher() -> nn.Sequential:
    return smooth_teacher().eval().requires_grad_(False)


@pytest.fixture
def images() -> Tensor:
    return torch.randn(CLASSES, 3, SIZE, SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def weights(network: nn.Module) -> Tensor:
    return torch.cat([parameter.flatten() for parameter in network.parameters()])


def loss(network: nn.Module, images: Tensor) -> float:
    return F.cross_entropy(network(images), TARGETS).item()


def test_a_step_has_the_length_asked_for_and_the_direction_of_the_gradient(teacher, images):
    """The gradient by central differences, at a weight of every layer."""
    moved = perturbed(teacher, images, TARGETS, steps=1, radius=0.02)
    step = weights(moved) - weights(teacher)
    assert step.norm().item() == pytest.approx(0.02, rel=1e-9)
    ratios = []
    for before, after in zip(teacher.parameters(), moved.parameters(), strict=True):
        place, nudge = (0,) * before.dim(), 1e-5
        losses = []
        for shift in (nudge, -2 * nudge):
            before[place] += shift
            losses.append(loss(teacher, images))
        before[place] += nudge
        ratios.append((after - before)[place].item() / ((losses[0] - losses[1]) / (2 * nudge)))
    assert ratios == pytest.approx([ratios[0]] * len(ratios), rel=1e-5) and ratios[0] > 0


def test_several_steps_are_taken_one_after_the_other(teacher, images):
    moved = perturbed(teacher, images, TARGETS, steps=2, radius=0.4)
    halfway = perturbed(teacher, images, TARGETS, steps=1, radius=0.2)
    in_turn = perturbed(halfway, images, TARGETS, steps=1, radius=0.2)
    torch.testing.assert_close(weights(moved), weights(in_turn), rtol=1e-12, atol=1e-14)
    assert not torch.allclose(weights(moved) - weights(halfway), weights(halfway) - weights(teacher), rtol=1e-4)
    assert loss(moved, images) > loss(halfway, images) > loss(teacher, images)


def test_no_steps_leave_the_weights(teacher, images):
    assert torch.equal(weights(perturbed(teacher, images, TARGETS, steps=0, radius=0.1)), weights(teacher))


def test_only_weights_move_and_only_in_the_copy(teacher, images):
    before = {key: value.clone() for key, value in teacher.state_dict().items()}
    moved = perturbed(teacher, images, TARGETS, steps=3, radius=0.1)
    assert all(torch.equal(value, before[key]) for key, value in teacher.state_dict().items())
    for (name, buffer), (_, other) in zip(moved.named_buffers(), teacher.named_buffers(), strict=True):
        assert torch.equal(buffer, other), name
    assert not moved.training and not any(p.requires_grad or p.grad is not None for p in moved.parameters())
    assert not any(p.requires_grad or p.grad is not None for p in teacher.parameters())


def test_a_second_batch_begins_with_the_trained_weights(teacher, images):
    alone = perturbed(teacher, images, TARGETS, steps=2, radius=0.1)
    perturbed(teacher, -images, TARGETS, steps=2, radius=0.1)
    assert torch.equal(weights(perturbed(teacher, images, TARGETS, steps=2, radius=0.1)), weights(alone))


def test_layers_that_never_run_stay(teacher, images):
    teacher.register_module("8", nn.Identity())
    teacher[8].idle = nn.Parameter(torch.ones(3, dtype=torch.float64), requires_grad=False)
    moved = perturbed(teacher, images, TARGETS, steps=1, radius=0.1)
    assert torch.equal(moved[8].idle, torch.ones(3, dtype=torch.float64))


def test_the_precision_is_that_of_the_images(teacher, images):
    moved = perturbed(teacher.float(), images, TARGETS, steps=1, radius=0.1)
    assert all(parameter.dtype == torch.float64 for parameter in moved.parameters())
