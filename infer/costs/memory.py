"""Peak memory of work, from the shapes of a network's activations; nothing is computed for it."""

import functools

import torch
from torch import nn

from infer.models.outline import outline
from infer.training.execution import autocast
from infer.work import Pass, Passes

_COPIES = {Pass.train: 4, Pass.optimise: 1, Pass.forward: 1}
"""Tensors per weight: itself, its gradient and two moments of AdamW."""
_BACKWARDS = 1.5
"""Peak beside the activations that are kept: gradients on their way back, and a layer's own work space."""


@functools.cache
def peak_bytes(passes: Passes) -> int:
    """Bytes that the network and the images on their way through it take, without the data set."""
    network = outline(passes.arch, passes.classes, passes.network_size)
    weights: int = sum(tensor.nbytes for tensor in network.state_dict().values())
    return _COPIES[passes.how] * weights + int(_BACKWARDS * _activations(network, passes))


def _activations(network: nn.Module, passes: Passes) -> int:
    """Bytes that are kept for the way back or, without one, those of the two largest tensors."""
    images = torch.zeros(passes.at_once, 3, passes.size, passes.size, device="meta")
    network.train(passes.how is Pass.train)
    with autocast("cpu", "bf16" if passes.precision == "bf16" else "fp32"):
        if passes.how is Pass.forward:
            return _largest_output(network, images)
        network.requires_grad_(passes.how is Pass.train)
        return _kept_bytes(network, images.requires_grad_(passes.how is Pass.optimise))


def _kept_bytes(network: nn.Module, images: torch.Tensor) -> int:
    kept: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if not isinstance(tensor, nn.Parameter):
            kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        network(images)
    return sum(tensor.nbytes for tensor in kept.values())


def _largest_output(network: nn.Module, images: torch.Tensor) -> int:
    sizes = [images.nbytes]
    hooks = [
        module.register_forward_hook(lambda _module, _inputs, output: sizes.append(output.nbytes))
        for module in network.modules()
        if not list(module.children())
    ]
    with torch.no_grad():
        network(images)
    for hook in hooks:
        hook.remove()
    return 2 * max(sizes)
