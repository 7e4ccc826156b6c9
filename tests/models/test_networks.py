"""Every family of networks: image sizes, input gradients, one graph, and the options in a name."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from infer.errors import UsageError
from infer.models import build, names

OWN = ("resnet18", *names.PUBLISHED_TEACHERS, "resnet8_w8", "convnet3_w16", "convnet3_w16_batchnorm")
Calibrated = Callable[[str, int], nn.Module]


def count_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("image_size", [8, 32, 64])
@pytest.mark.parametrize("arch", OWN)
def test_own_networks_give_logits_at_every_image_size(arch: str, image_size: int) -> None:
    network = build(arch, 7, image_size)
    with torch.no_grad():
        logits = network(torch.randn(2, 3, image_size, image_size))
    assert network.training
    assert logits.shape == (2, 7)
    assert logits.isfinite().all()


@pytest.mark.parametrize("arch", [*OWN, "convnet3_w16_layernorm", "timm/resnet10t"])
def test_gradients_reach_the_input_in_eval_mode_and_leave_the_state_alone(arch: str, calibrated: Calibrated) -> None:
    network = calibrated(arch, 32).requires_grad_(False)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    images = torch.randn(2, 3, 32, 32, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(images).logsumexp(1).sum(), images)
    assert (gradient.abs() > 1e-8).float().mean() > 0.9
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


@pytest.mark.parametrize("arch", OWN)
def test_a_training_step_reaches_every_layer_that_is_called(arch: str) -> None:
    network = build(arch, 10, image_size=16)
    network(torch.randn(4, 3, 16, 16)).square().sum().backward()
    unreached = {name for name, parameter in network.named_parameters() if parameter.grad is None}
    never_called = {"layers.0.conv1.weight", "layers.0.bn1.weight", "layers.0.bn1.bias"}
    assert unreached == (never_called if arch == "efficientnet_b0" else set())


@pytest.mark.parametrize("arch", [*names.PUBLISHED_TEACHERS, "resnet18", "resnet8_w8", "convnet3_w16_batchnorm"])
def test_batch_norm_inputs_survive_the_forward_pass(arch: str, calibrated: Calibrated) -> None:
    """Statistics may be computed after the pass from what each batch norm received."""
    network = calibrated(arch, 16)
    received: list[tuple[Tensor, Tensor]] = []
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_pre_hook(lambda _, inputs: received.append((inputs[0], inputs[0].clone())))
    with torch.no_grad():
        network(torch.randn(2, 3, 16, 16))
    assert received
    assert all(torch.equal(tensor, copy) for tensor, copy in received)


@pytest.mark.parametrize("arch", OWN)
def test_own_networks_are_one_graph(arch: str, calibrated: Calibrated) -> None:
    """The symbolic tracer and the compiler's front end both take them whole, with the same logits."""
    network = calibrated(arch, 16)
    images = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        expected = network(images)
        assert torch.equal(torch.fx.symbolic_trace(network)(images), expected)
        assert torch.equal(torch.compile(network, fullgraph=True, backend="eager")(images), expected)


@pytest.mark.parametrize("arch", ["resnet34", "resnet50"])
def test_deeper_cifar_resnets_keep_the_image_size_up_to_the_second_stage(arch: str) -> None:
    network = build(arch, 10, image_size=8).eval()
    widths = []
    network.layer1.register_forward_hook(lambda _, __, output: widths.append(output.shape[-1]))
    with torch.no_grad():
        assert network(torch.zeros(1, 3, 8, 8)).shape == (1, 10)
    assert widths == [8]


@pytest.mark.parametrize(
    ("arch", "million"), [("resnet20", 0.27), ("resnet32", 0.46), ("resnet44", 0.66), ("resnet56", 0.85)]
)
def test_thin_resnets_have_the_sizes_of_the_paper(arch: str, million: float) -> None:
    """He et al. 2016, table 6."""
    assert round(count_parameters(build(arch, 10, 32)) / 1e6, 2) == million


def test_a_thin_resnets_depth_counts_its_weighted_layers() -> None:
    for arch in names.THIN_RESNETS:
        weighted = [m for m in build(arch, 10, 32).modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        assert f"resnet{len(weighted)}" == arch


def test_the_thin_resnets_shortcut_takes_every_second_pixel_and_appends_zeros() -> None:
    block = build("resnet8_w8", 10, 32).eval().layer2[0]
    nn.init.zeros_(block.bn2.weight)  # only the shortcut is left
    x = torch.rand(2, 8, 6, 6)
    with torch.no_grad():
        out = block(x)
    torch.testing.assert_close(out[:, :8], x[:, :, ::2, ::2])
    assert out.shape == (2, 16, 3, 3) and not out[:, 8:].any()


def test_the_width_option_of_a_thin_resnet_scales_every_stage() -> None:
    network = build("resnet8_w8", 10, 32)
    widths = [stage[0].conv1.out_channels for stage in (network.layer1, network.layer2, network.layer3)]
    assert widths == [8, 16, 32]


@pytest.mark.parametrize(
    ("arch", "depth", "width", "norm"),
    [
        ("convnet3", 3, 128, nn.GroupNorm),
        ("convnet4_w32_instancenorm", 4, 32, nn.GroupNorm),
        ("convnet3_batchnorm", 3, 128, nn.BatchNorm2d),
        ("convnet5_w16_groupnorm", 5, 16, nn.GroupNorm),
        ("convnet3_nonorm", 3, 128, None),
    ],
)
def test_convnet_options_set_depth_width_and_norm(
    arch: str, depth: int, width: int, norm: type[nn.Module] | None
) -> None:
    network = build(arch, 10, 32)
    norms = [module for module in network.features if norm is not None and isinstance(module, norm)]
    assert len(norms) == (depth if norm else 0)
    first, others = (27 + 1) * width, (9 * width + 1) * width
    classifier = (width * (32 // 2**depth) ** 2 + 1) * 10
    scales_and_shifts = len(norms) * 2 * width
    assert count_parameters(network) == first + (depth - 1) * others + scales_and_shifts + classifier


def test_convnet_blocks_are_convolution_norm_relu_and_average_pool() -> None:
    """The same in separate calls, instance norm written out with the statistics of each image and channel."""
    network = build("convnet3_w8", 10, 16).double()
    x = images = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    for convolution, norm in zip(network.features[0::4], network.features[1::4], strict=True):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        x = nn.functional.conv2d(x, convolution.weight, convolution.bias, padding=1)
        variance, mean = torch.var_mean(x, dim=(2, 3), correction=0, keepdim=True)
        x = (x - mean) / (variance + 1e-5).sqrt() * norm.weight.reshape(-1, 1, 1)
        x = nn.functional.avg_pool2d(x.clamp(min=0), 2)
    expected = x.flatten(1) @ network.classifier.weight.T + network.classifier.bias
    torch.testing.assert_close(network(images), expected, rtol=1e-10, atol=1e-12)


def test_convnet_groupnorm_has_four_groups() -> None:
    assert {m.num_groups for m in build("convnet3_groupnorm", 10, 32).features[1::4]} == {4}


def test_convnet_layernorm_covers_channels_and_pixels_of_its_block() -> None:
    network = build("convnet3_w8_layernorm", 10, 28)
    assert [norm.normalized_shape for norm in network.features[1::4]] == [(8, 28, 28), (8, 14, 14), (8, 7, 7)]
    assert network(torch.zeros(1, 3, 28, 28)).shape == (1, 10)


def test_a_convnet_that_pools_the_image_away_is_not_built() -> None:
    with pytest.raises(UsageError, match="size 8 below 1 pixel: the largest possible depth is 3"):
        build("convnet4", 10, image_size=8)
