"""The four CIFAR teachers compute what the published networks compute.

The other side is written out here in float64 from their description; it reads the state_dict only.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from infer.models import build


@dataclass
class Weights:
    """Plain operations on the entries of a state_dict, each called by its name in there."""

    state: dict[str, Tensor]

    def conv(self, name: str, x: Tensor, stride: int = 1, groups: int = 1) -> Tensor:
        weight = self.state[f"{name}.weight"]
        bias = self.state.get(f"{name}.bias")
        return F.conv2d(x, weight, bias, stride, padding=(weight.shape[-1] - 1) // 2, groups=groups)

    def depthwise(self, name: str, x: Tensor, stride: int) -> Tensor:
        return self.conv(name, x, stride, groups=x.shape[1])

    def norm(self, name: str, x: Tensor) -> Tensor:
        mean, variance, weight, bias = (
            self.state[f"{name}.{entry}"].reshape(1, -1, 1, 1)
            for entry in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (variance + 1e-5).sqrt() * weight + bias

    def linear(self, name: str, x: Tensor) -> Tensor:
        return x @ self.state[f"{name}.weight"].T + self.state[f"{name}.bias"]


def relu(x: Tensor) -> Tensor:
    return x.clamp(min=0)


def swish(x: Tensor) -> Tensor:
    return x * torch.sigmoid(x)


def resnet18(w: Weights, x: Tensor) -> Tensor:
    x = relu(w.norm("bn1", w.conv("conv1", x)))
    for stage in (1, 2, 3, 4):
        for block in (0, 1):
            p = f"layer{stage}.{block}"
            shrinks = stage > 1 and block == 0
            stride = 2 if shrinks else 1
            out = relu(w.norm(f"{p}.bn1", w.conv(f"{p}.conv1", x, stride)))
            out = w.norm(f"{p}.bn2", w.conv(f"{p}.conv2", out))
            shortcut = w.norm(f"{p}.downsample.1", w.conv(f"{p}.downsample.0", x, stride)) if shrinks else x
            x = relu(out + shortcut)
    return w.linear("fc", F.avg_pool2d(x, 4).flatten(1))


def mobilenetv2(w: Weights, x: Tensor) -> Tensor:
    x = relu(w.norm("bn1", w.conv("conv1", x)))
    block = 0
    for width, count, first_stride in (
        *((16, 1, 1), (24, 2, 1), (32, 3, 2), (64, 4, 2)),
        *((96, 3, 1), (160, 3, 2), (320, 1, 1)),
    ):
        for position in range(count):
            p, stride = f"layers.{block}", first_stride if position == 0 else 1
            out = relu(w.norm(f"{p}.bn1", w.conv(f"{p}.conv1", x)))
            out = relu(w.norm(f"{p}.bn2", w.depthwise(f"{p}.conv2", out, stride)))
            out = w.norm(f"{p}.bn3", w.conv(f"{p}.conv3", out))
            if stride == 1:
                same = x.shape[1] == width
                out = out + (x if same else w.norm(f"{p}.shortcut.1", w.conv(f"{p}.shortcut.0", x)))
            x, block = out, block + 1
    x = relu(w.norm("bn2", w.conv("conv2", x)))
    return w.linear("linear", F.avg_pool2d(x, 4).flatten(1))


def efficientnet_b0(w: Weights, x: Tensor) -> Tensor:
    x = swish(w.norm("bn1", w.conv("conv1", x)))
    block = 0
    for width, count, first_stride in (
        *((16, 1, 1), (24, 2, 2), (40, 2, 2), (80, 3, 2)),
        *((112, 3, 1), (192, 4, 2), (320, 1, 1)),
    ):
        for position in range(count):
            p, stride = f"layers.{block}", first_stride if position == 0 else 1
            out = x if block == 0 else swish(w.norm(f"{p}.bn1", w.conv(f"{p}.conv1", x)))
            out = swish(w.norm(f"{p}.bn2", w.depthwise(f"{p}.conv2", out, stride)))
            squeezed = swish(w.conv(f"{p}.se.se1", F.adaptive_avg_pool2d(out, 1)))
            out = out * torch.sigmoid(w.conv(f"{p}.se.se2", squeezed))
            out = w.norm(f"{p}.bn3", w.conv(f"{p}.conv3", out))
            x = out + x if stride == 1 and x.shape[1] == width else out
            block += 1
    return w.linear("linear", F.adaptive_avg_pool2d(x, 1).flatten(1))


def shufflenet_g2(w: Weights, x: Tensor) -> Tensor:
    x = relu(w.norm("bn1", w.conv("conv1", x)))
    for stage, count in ((1, 4), (2, 8), (3, 4)):
        for block in range(count):
            p = f"layer{stage}.{block}"
            groups = 1 if x.shape[1] == 24 else 2
            out = relu(w.norm(f"{p}.bn1", w.conv(f"{p}.conv1", x, groups=groups)))
            size = out.shape[1] // groups
            out = out[:, [group * size + i for i in range(size) for group in range(groups)]]
            out = relu(w.norm(f"{p}.bn2", w.depthwise(f"{p}.conv2", out, stride=2 if block == 0 else 1)))
            out = w.norm(f"{p}.bn3", w.conv(f"{p}.conv3", out, groups=2))
            pooled = F.avg_pool2d(x, 3, stride=2, padding=1) if block == 0 else None
            x = relu(out + x) if pooled is None else relu(torch.cat([out, pooled], 1))
    return w.linear("linear", F.avg_pool2d(x, 4).flatten(1))


@pytest.mark.parametrize("forward", [resnet18, mobilenetv2, efficientnet_b0, shufflenet_g2])
def test_logits_equal_an_independent_forward_in_float64(
    forward: Callable[[Weights, Tensor], Tensor], calibrated: Callable[[str, int], nn.Module]
) -> None:
    network = calibrated(forward.__name__, 32).double()
    images = torch.randn(3, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        logits = network(images)
        expected = forward(Weights(network.state_dict()), images)
    assert (logits.std(0) > 1e-3).all(), "the logits hardly depend on the image: the comparison would show nothing"
    torch.testing.assert_close(logits, expected, rtol=1e-10, atol=1e-12)


def batch_norms(network: nn.Module) -> dict[str, nn.Module]:
    return {name: module for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)}


def test_the_batch_norm_of_efficientnets_block_without_expansion_never_fires() -> None:
    network = build("efficientnet_b0", 10, image_size=32).eval()
    fired = set()
    for name, module in batch_norms(network).items():
        module.register_forward_pre_hook(lambda *_, name=name: fired.add(name))
    with torch.no_grad():
        network(torch.zeros(1, 3, 32, 32))
    assert batch_norms(network).keys() - fired == {"layers.0.bn1"}


def test_dropout_is_all_that_is_random_while_efficientnet_trains() -> None:
    """The published code never counts up the block that its drop-connect rates depend on: every rate is 0."""
    network = build("efficientnet_b0", 10, image_size=16)
    images = torch.randn(8, 3, 16, 16)

    @torch.no_grad()
    def passes_differ() -> bool:
        return not torch.equal(network(images), network(images))

    assert passes_differ()
    network.dropout.eval()
    assert not passes_differ()
