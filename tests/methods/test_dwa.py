"""DWA's perturbation: steps of a given length up the loss, in a copy of the teacher, and what they leave behind."""

import copy
from types import SimpleNamespace

import pytest
import torch
from plain_optimisation import CLASSES, SIZE, adam, loss_terms, smooth_teacher
from torch import Tensor, nn
from torch.nn import functional as F

from infer.methods.dwa import DwaMethod
from infer.methods.optimisation.augmentation import Augmentation
from infer.methods.optimisation.loop import descend
from infer.methods.optimisation.loss import MatchingLoss, Problem
from infer.methods.optimisation_settings import GenerationPrecision
from infer.methods.sets.perturbation import DiversifiedImages, perturbed

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


def published(teacher: nn.Module, images: Tensor, problem: Problem, method: DwaMethod, accumulates: bool) -> Tensor:
    """The images [n, 3, H, W] after DWA's loop, with gradients that pile up until someone clears them."""
    network = copy.deepcopy(teacher).requires_grad_(True)

    def cross_entropy_and_penalty(x: Tensor, t: int) -> tuple[Tensor, Tensor]:
        seen = problem.transforms[t](x[None])[0]
        return loss_terms(network, seen, TARGETS.tolist(), method.first_bn_multiplier, method.variance_weight)

    def gradient(x: Tensor, t: int) -> Tensor:
        leaf = x.clone().requires_grad_()
        if t == 0:
            for _ in range(method.perturbation_steps):
                cross_entropy_and_penalty(leaf, 0)[0].backward()
                climbs = [parameter.grad.clone() for parameter in network.parameters()]
                length = sum(climb.square().sum() for climb in climbs).sqrt()
                for parameter, climb in zip(network.parameters(), climbs, strict=True):
                    parameter.data += method.perturbation_radius / method.perturbation_steps * climb / length
                    parameter.grad = None
            if not accumulates:
                leaf.grad = None
        cross_entropy, penalty = cross_entropy_and_penalty(leaf, t)
        (cross_entropy + method.bn_weight * penalty).backward()
        return leaf.grad

    return adam(gradient, images, method.lr, method.iterations)


@pytest.mark.parametrize("accumulates", [True, False])
@pytest.mark.parametrize("crop_scale_min", [None, 0.4])
def test_the_first_gradient_of_the_images_is_published_with_those_of_the_climb(
    teacher, images, accumulates, crop_scale_min
):
    method = DwaMethod(
        name="dwa", iterations=6, bn_weight=0.3, variance_weight=2.5, perturbation_steps=3, perturbation_radius=0.2,
        accumulate_ascent_gradient=accumulates, precision=GenerationPrecision.fp64,
    )  # fmt: skip
    transforms = Augmentation(2, crop_scale_min=crop_scale_min).draw(0, [("small", 0)], method.iterations, SIZE)
    problem = Problem(images[None], TARGETS, transforms, variance_weight=method.variance_weight)
    batch = SimpleNamespace(method=method, indices=range(1))
    network, prepared = DiversifiedImages.prepared(batch, teacher, problem)
    ends = descend(MatchingLoss(network, prepared, method), prepared, method)[0]
    expected = published(teacher, images, problem, method, accumulates)
    torch.testing.assert_close(ends, expected, rtol=1e-9, atol=1e-9)
    other = published(teacher, images, problem, method, not accumulates)
    assert (ends - other).abs().max() > 1e-3, "the gradients of the climb make no difference: this shows nothing"
    assert not images.requires_grad and (prepared.gradient_before is None) is not accumulates
