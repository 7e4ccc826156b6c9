"""The loss and the optimisation written out plainly: one group at a time, hooks, an own Adam."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

CLASSES, SIZE = 4, 8


def smooth_teacher() -> nn.Sequential:
    """A network whose trajectories are not chaotic, in float64, with statistics from a few forward passes."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.SiLU(),
        nn.Conv2d(8, 12, 3, stride=2),
        nn.BatchNorm2d(12),
        nn.SiLU(),
        nn.Flatten(),
        nn.Linear(108, CLASSES),
    ).double()
    with torch.no_grad():
        for _ in range(5):
            network(torch.randn(32, 3, SIZE, SIZE, dtype=torch.float64))
    return network


def trained(network: nn.Module, size: int = 8) -> nn.Module:
    """``network`` in float64 with running statistics and affine parameters that are not those of a new one."""
    torch.manual_seed(1)
    network.double().train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(16, 3, size, size, dtype=torch.float64))
    return network.eval()


def loss_terms(
    teacher: nn.Module, seen: Tensor, classes: list[int], first_bn_multiplier: float, variance_weight: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Cross-entropy [] and matching penalty [] of one group's images [n, 3, H, W] as the teacher sees them."""
    gaps = []

    def measure(norm: nn.Module, inputs: tuple[Tensor], _: Tensor) -> None:
        values = inputs[0].permute(1, 0, 2, 3).reshape(inputs[0].shape[1], -1)
        mean_gap = (values.mean(1) - norm.running_mean).square().sum().sqrt()
        variance_gap = (values.var(1, unbiased=False) - norm.running_var).square().sum().sqrt()
        gaps.append(mean_gap + variance_weight * variance_gap)

    hooks = [m.register_forward_hook(measure) for m in teacher.modules() if isinstance(m, nn.BatchNorm2d)]
    logits = teacher.eval()(seen)
    for hook in hooks:
        hook.remove()
    cross_entropy = -sum(row.log_softmax(0)[target] for row, target in zip(logits, classes, strict=True)) / len(classes)
    return cross_entropy, first_bn_multiplier * gaps[0] + sum(gaps[1:])


def adam(
    gradient: Callable[[Tensor, int], Tensor],
    x: Tensor,
    lr: float,
    iterations: int,
    project: Callable[[Tensor], Tensor] = lambda x: x,
) -> Tensor:
    """``x`` after Adam(0.5, 0.9) with a cosine to zero; ``gradient`` is given x and the iteration."""
    first, second = torch.zeros_like(x), torch.zeros_like(x)
    for t in range(iterations):
        slope = gradient(x, t)
        first = 0.5 * first + 0.5 * slope
        second = 0.9 * second + 0.1 * slope**2
        rate = 0.5 * lr * (1 + math.cos(math.pi * t / iterations))
        step = (first / (1 - 0.5 ** (t + 1))) / ((second / (1 - 0.9 ** (t + 1))).sqrt() + 1e-8)
        x = project(x - rate * step)
    return x
