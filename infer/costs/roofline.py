"""Estimated time of work on other devices, by the roofline model.

An operation takes as long as its arithmetic or its memory traffic, whichever takes longer (Williams, Waterman and
Patterson, Communications of the ACM 52(4), 2009).
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from infer.costs.rate import Rate
from infer.errors import UsageError
from infer.models.outline import outline
from infer.words import visible
from infer.work import Pass, Passes, Work

_ACHIEVED = 0.5
"""Fraction of the peak rates in a data sheet that is reached; assumed, not measured."""
_LAUNCH_S = 5e-6
"""Shortest time in seconds of an operation on a GPU, that of its launch; assumed, not measured."""


@dataclass(frozen=True)
class Device:
    """Peak rates of a device in its data sheet, without sparsity."""

    name: str
    fp32_tflops: float
    """Rate in full float32, without TF32, which this program turns off."""
    bf16_tflops: float
    terabytes_per_second: float
    """Bandwidth of the device's memory."""


DEVICES: Mapping[str, Device] = {
    "a100": Device("NVIDIA A100 SXM", 19.5, 312.0, 2.04),
    "h100": Device("NVIDIA H100 SXM", 66.9, 989.4, 3.35),
    "h200": Device("NVIDIA H200 SXM", 66.9, 989.4, 4.8),
    "rtx4090": Device("NVIDIA RTX 4090", 82.6, 165.2, 1.01),
}
"""Devices by their names on the command line."""


@dataclass(frozen=True)
class Elsewhere:
    """Several devices of one kind that share the work evenly; the time of their exchanges is not counted."""

    device: Device
    count: int = 1

    def share(self, passes: Passes) -> Passes:
        """The ``passes`` of one device, which has its share of the images that pass together.

        Where the images of a step pass in parts, each device has its share of the whole step, in parts of the same size
        as before.
        """
        own = ceil(max(passes.of_step, passes.at_once) / self.count)
        return replace(passes, at_once=min(passes.at_once, own), of_step=0)

    def rate(self, works: Sequence[Work]) -> Rate:
        """Speed of ``works`` of one kind on all devices together.

        Raises UsageError where a training has fewer images per update than devices, as a run would.
        """
        all_passes = [passes for work in works for passes in work.passes if passes.images]
        for passes in all_passes:
            if passes.how is Pass.train and passes.at_once < self.count:
                raise UsageError(
                    f"--devices {self.count} cannot share the {passes.at_once} images that go through {passes.arch} "
                    f"together. Type --devices {passes.at_once} or fewer, or a larger batch_size"
                )
        seconds = sum(passes.images * _seconds_per_image(self.share(passes), self.device) for passes in all_passes)
        return Rate(seconds / self.count / sum(work.units for work in works), "assumed")

    @property
    def in_words(self) -> str:
        """Description of the devices and of what is assumed about them."""
        named = f"{self.count} x {self.device.name}" if self.count > 1 else self.device.name
        exchanges = ", and that communication takes no time" if self.count > 1 else ""
        return f"for {named}, assuming {_ACHIEVED:.0%} of the data sheet's peaks{exchanges}: nothing was measured there"


def several_of(name: str, count: int) -> Elsewhere:
    """``count`` devices with the key ``name`` in DEVICES. Raises UsageError where there is no such device."""
    if name not in DEVICES:
        raise UsageError(f"--on {visible(name)}: there is no data sheet for it. Type one of {', '.join(DEVICES)}")
    if count < 1:
        raise UsageError(f"--devices {count}: the work needs at least one. Type a number from 1")
    return Elsewhere(DEVICES[name], count)


@functools.cache
def _seconds_per_image(passes: Passes, device: Device) -> float:
    """Seconds per image of a step, without the update of the weights and without batch-norm matching."""
    is_bf16 = passes.precision == "bf16"
    tflops = device.bf16_tflops if is_bf16 else device.fp32_tflops
    flops_per_second = _ACHIEVED * 1e12 * tflops
    values_per_second = _ACHIEVED * 1e12 * device.terabytes_per_second / (2 if is_bf16 else 4)
    operations = _operations(replace(passes, images=0, precision="", compiled=False))
    return sum(max(f / flops_per_second, v / values_per_second, _LAUNCH_S) for f, v in operations) / passes.at_once


@functools.cache
def _operations(passes: Passes) -> Sequence[tuple[int, int]]:
    """FLOPs and number of values read and written, for every operation of a step, from the shapes only."""
    network = outline(passes.arch, passes.classes, passes.network_size)
    network.train(passes.how is Pass.train).requires_grad_(passes.how is Pass.train)
    images = torch.zeros(passes.at_once, 3, passes.size, passes.size, device="meta")
    counted = _Operations()
    with counted:
        if passes.how is Pass.forward:
            with torch.no_grad():
                network(images)
        else:
            network(images.requires_grad_(passes.how is Pass.optimise)).sum().backward()
    return counted.found


class _Operations(TorchDispatchMode):
    """Mode that collects FLOPs and number of values read and written, for every operation except views."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # not typed in torch
        self.found: list[tuple[int, int]] = []

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if not func.is_view:
            moved = [each.numel() for each in tree_leaves((args, kwargs, result)) if isinstance(each, Tensor)]
            self.found.append((_flops(func.overloadpacket, args, kwargs, result), sum(moved)))
        return result


def _flops(operation: Any, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any) -> int:
    """FLOPs of convolutions and matrix products; 0 for all other operations, which are bound by memory."""
    if operation is torch.ops.aten.convolution_backward:  # torch's own count ignores the groups of a convolution
        gradient, _, weight, *_, wanted = args
        return int(2 * gradient.numel() * weight[0].numel() * sum(wanted[:2]))
    count: Callable[..., int] | None = flop_registry.get(operation)
    return count(*args, **kwargs, out_val=result) if count else 0
