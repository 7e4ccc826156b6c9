"""Matched teachers against statistics written out plainly, layer by layer and one group at a time."""

import pytest
import timm
import torch
from plain_optimisation import trained
from torch import Tensor, nn
from torch.nn import functional as F

from infer.errors import UsageError
from infer.methods.optimisation.bn_matching import MatchedTeacher
from infer.models import build

CIFAR_TEACHERS = ["resnet18", "mobilenetv2", "efficientnet_b0", "shufflenet_g2"]
LARGE = CIFAR_TEACHERS[1:]


class Small(nn.Module):
    """Two layers that fire in another order than they are registered in, and one that never fires."""

    def __init__(self) -> None:
        super().__init__()
        self.second = nn.BatchNorm2d(5)
        self.never = nn.BatchNorm2d(7)
        self.first = nn.BatchNorm2d(4)
        self.conv1, self.conv2 = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 5, 3)
        self.fc = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.silu(self.first(self.conv1(x)))
        x = F.silu(self.second(self.conv2(x)))
        return self.fc(x.mean((2, 3)))


def reference(network: nn.Module, images: Tensor, multiplier: float) -> tuple[Tensor, Tensor]:
    """Logits and penalty [] of one group, from a hook on every BatchNorm layer."""
    terms = []

    def measure(norm: nn.Module, inputs: tuple[Tensor], _: Tensor) -> None:
        values = inputs[0].permute(1, 0, 2, 3).reshape(inputs[0].shape[1], -1)
        gaps = values.mean(1) - norm.running_mean, values.var(1, unbiased=False) - norm.running_var
        terms.append(sum(gap.square().sum().sqrt() for gap in gaps))

    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    hooks = [norm.register_forward_hook(measure) for norm in norms]
    logits = network(images)
    for hook in hooks:
        hook.remove()
    return logits, multiplier * terms[0] + sum(terms[1:])


def assert_matches_reference(network: nn.Module, size: int, tolerance: float) -> None:
    """Logits, penalties and the gradient of both, for two groups in one batch and for one group at a time."""
    images = torch.randn(2, 2, 3, size, size, dtype=torch.float64)
    batch = images.flatten(0, 1).requires_grad_()
    logits, penalties = MatchedTeacher(network, 10.0, torch.float64)(batch, 2)
    (logits.logsumexp(1).sum() + penalties.sum()).backward()
    for g, group in enumerate(images):
        alone = group.clone().requires_grad_()
        expected_logits, expected_penalty = reference(network, alone, 10.0)
        (expected_logits.logsumexp(1).sum() + expected_penalty).backward()
        rows = slice(2 * g, 2 * g + 2)
        torch.testing.assert_close(logits[rows], expected_logits, rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(penalties[g], expected_penalty, rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(batch.grad[rows], alone.grad, rtol=tolerance, atol=tolerance)


def test_matches_hooks_one_group_at_a_time() -> None:
    assert_matches_reference(trained(Small()), 8, 1e-12)


@pytest.mark.parametrize("arch", CIFAR_TEACHERS)
def test_matches_hooks_for_the_cifar_teachers(arch: str) -> None:
    assert_matches_reference(trained(build(arch, 3, 32), 32), 32, 1e-9)


def test_batchnorm_subclass_keeps_its_activation() -> None:
    """timm's BatchNormAct2d normalises and activates in one module."""
    network = timm.create_model("efficientnet_b0", pretrained=False, num_classes=3)
    subclasses = {type(module) for module in network.modules() if isinstance(module, nn.BatchNorm2d)}
    assert subclasses == {timm.layers.BatchNormAct2d}
    assert_matches_reference(trained(network, 32), 32, 1e-9)


def test_layer_without_affine_parameters() -> None:
    network = trained(Small())
    network.first = nn.BatchNorm2d(4, affine=False).double().eval()
    assert_matches_reference(network, 8, 1e-12)


def test_first_layer_is_the_first_to_fire() -> None:
    network, images = trained(Small()), torch.randn(3, 3, 8, 8, dtype=torch.float64)
    once, twice = (MatchedTeacher(network, multiplier, torch.float64)(images, 1)[1] for multiplier in (1.0, 2.0))
    values = network.conv1(images).transpose(0, 1).flatten(1)
    gaps = values.mean(1) - network.first.running_mean, values.var(1, correction=0) - network.first.running_var
    torch.testing.assert_close(twice - once, sum(gap.norm() for gap in gaps)[None])


@pytest.mark.parametrize("arch", ["resnet18", pytest.param("efficientnet_b0", marks=pytest.mark.slow)])
def test_bf16_rounds_convolutions_and_nothing_else(arch: str) -> None:
    """Statistics and logits are float32, a few per cent from the exact ones, and so are those of the graph."""
    network = trained(build(arch, 3, 32), 32).float()
    images = torch.randn(4, 3, 32, 32)
    exact, rounded = MatchedTeacher(network, 10.0), MatchedTeacher(network, 10.0, in_bf16=True)
    logits, penalties = rounded(images, 2)
    assert logits.dtype == penalties.dtype == torch.float32
    assert all(each.mean.dtype == torch.float32 for each in rounded.statistics(images, 2))
    for value, expected in zip((logits, penalties), exact(images, 2), strict=True):
        assert not torch.equal(value, expected)
        torch.testing.assert_close(value, expected, rtol=0.05, atol=0.05 * float(expected.abs().max()))
    graph = torch.compile(rounded, fullgraph=True, dynamic=False, backend="eager")
    torch.testing.assert_close(graph(images, 2), (logits, penalties), rtol=0.05, atol=0.05 * float(logits.abs().max()))


def test_teacher_is_left_untouched() -> None:
    network = trained(Small()).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    matched = MatchedTeacher(network, 10.0)
    matched(torch.randn(2, 3, 8, 8), 1)
    assert network.training and all(parameter.requires_grad for parameter in network.parameters())
    assert type(network.first) is nn.BatchNorm2d
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert not matched.training and not any(parameter.requires_grad for parameter in matched.parameters())


@pytest.mark.parametrize("network", [nn.Sequential(nn.Conv2d(3, 4, 1)), nn.BatchNorm1d(3)])
def test_teacher_without_batchnorm_layers(network: nn.Module) -> None:
    with pytest.raises(UsageError, match="'plain' has no BatchNorm layer") as caught:
        MatchedTeacher(network, 10.0, name="plain")
    assert "\n" not in str(caught.value) and "teachers.archs=" in str(caught.value)


def test_teacher_that_runs_none_of_its_layers() -> None:
    network = nn.Conv2d(3, 4, 1)
    network.register_module("unused", nn.BatchNorm2d(4))
    with pytest.raises(UsageError, match="runs none"):
        MatchedTeacher(network, 10.0)(torch.randn(2, 3, 4, 4), 1)


@pytest.mark.parametrize("arch", ["resnet18", *(pytest.param(arch, marks=pytest.mark.slow) for arch in LARGE)])
def test_one_graph_without_breaks(arch: str) -> None:
    """Backend for torch.compile; the graph is run as it is, in float64, so nothing has to be compiled."""
    matched = MatchedTeacher(build(arch, 3, 32), 10.0, torch.float64)
    graph = torch.compile(matched, fullgraph=True, dynamic=False, backend="eager")
    images = torch.randn(4, 3, 32, 32, dtype=torch.float64)
    torch.testing.assert_close(graph(images, 2), matched(images, 2), rtol=1e-9, atol=1e-9)
