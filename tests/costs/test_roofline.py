"""Costs on devices that are not here: arithmetic and traffic of a step, counted beside sums by hand."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from infer.commands.main import parse
from infer.costs.roofline import DEVICES, Device, Elsewhere, _operations, _seconds_per_image, several_of
from infer.errors import UsageError
from infer.models import build
from infer.work import Pass, Passes, Work

NET = Passes(Pass.forward, "convnet3_w32_batchnorm", 64, 16, 32, 10, "")
FORWARD_TIMES = {Pass.forward: 1, Pass.optimise: 2, Pass.train: 3}


def _forward_flops(arch: str, size: int) -> int:
    """2 * output * inputs of each output, over the convolutions and linear layers of one image."""
    found = []

    def count(module, _inputs, output):
        if isinstance(module, nn.Conv2d | nn.Linear):
            found.append(2 * output.numel() * module.weight[0].numel())

    network = build(arch, 10, size).eval()
    for module in network.modules():
        module.register_forward_hook(count)
    network(torch.zeros(1, 3, size, size))
    return sum(found)


@pytest.mark.parametrize("how", Pass)
@pytest.mark.parametrize("arch", ["convnet3_w32_batchnorm", "mobilenetv2"])
def test_arithmetic_is_that_of_the_layers_whatever_their_groups(how, arch):
    """A way back to the images costs one forward, one to images and weights two, less the first layer's images."""
    counted = sum(flops for flops, _ in _operations(replace(NET, arch=arch, how=how))) / NET.at_once
    first = 2 * 32 * 32 * 32 * 27 if how is Pass.train else 0
    assert counted == FORWARD_TIMES[how] * _forward_flops(arch, 32) - first


def test_an_operation_takes_its_arithmetic_or_its_traffic():
    passes = replace(NET, at_once=64, precision="fp32")
    operations = _operations(replace(passes, images=0, precision=""))
    fast, wide = Device("", 1e-3, 2e-3, 1e9), Device("", 1e9, 1e9, 1e-6)
    by_arithmetic = sum(max(2 * flops / 1e9, 5e-6) for flops, _ in operations) / 64
    by_traffic = sum(max(2 * 4 * values / 1e6, 5e-6) for _, values in operations) / 64
    assert _seconds_per_image(passes, fast) == pytest.approx(by_arithmetic)
    assert _seconds_per_image(passes, wide) == pytest.approx(by_traffic)
    assert _seconds_per_image(replace(passes, precision="bf16"), wide) == pytest.approx(by_traffic / 2, rel=0.1)


def test_several_devices_share_what_passes_together():
    large = replace(NET, how=Pass.optimise, images=10**6, at_once=4096, precision="fp32")
    work = Work([large])
    one, eight = (several_of("h100", count).rate([work]) for count in (1, 8))
    assert one.source == "assumed" and 6 < one.seconds_per_unit / eight.seconds_per_unit <= 8
    assert Elsewhere(DEVICES["h100"], 8).share(large).at_once == 512
    assert Elsewhere(DEVICES["h100"], 8).share(replace(large, at_once=9)).at_once == 2


def test_parts_of_a_step_stay_as_large_while_every_device_has_so_many_images():
    """A rank passes its classes in chunks like these."""
    in_parts = replace(NET, how=Pass.optimise, images=10**6, at_once=250, precision="fp32", of_step=1000)
    together = [Elsewhere(DEVICES["h100"], count).share(in_parts).at_once for count in (1, 4, 8, 64)]
    assert together == [250, 250, 125, 16]
    assert in_parts.kind == replace(in_parts, of_step=0).kind


def test_no_more_devices_than_images_to_share():
    work = Work([replace(NET, how=Pass.train, images=100, at_once=64, precision="fp32")])
    several_of("h100", 64).rate([work])
    with pytest.raises(UsageError, match="Type --devices 64 or fewer"):
        several_of("h100", 65).rate([work])


@pytest.mark.parametrize(("name", "count", "says"), [("tpu", 1, "--on tpu"), ("h100", 0, "--devices 0")])
def test_what_is_no_device_is_refused(name, count, says):
    with pytest.raises(UsageError, match=says):
        several_of(name, count)


def test_the_help_names_every_device(capsys):
    with pytest.raises(SystemExit):
        parse(["estimate", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert f"{', '.join([*DEVICES][:-1])} or {[*DEVICES][-1]}" in told
