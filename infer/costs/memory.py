"""Peak memory of work, from the shapes of a network's activations, without computing them."""

import functools

import torch
from torch import nn

from infer.models.outline import outline
from infer.training.execution import autocast
from infer.work import Pass, Passes

_TENSORS_PER_WEIGHT = {Pass.train: 4, Pass.optimise: 1, Pass.forward: 1}
"""Number of tensors per weight: in training the weight, its gradient and the two moments of AdamW."""
_BACKWARD_FACTOR = 1.5
"""Ratio of the peak memory to that of the stored activations, because of gradients and the work space of a layer."""


@functools.cache
def peak_bytes(passes: Passes) -> int:
    """Memory in bytes of the network and of its activations for the images that pass together."""
    network = outline(passes.arch, passes.classes, passes.network_size)
    weights: int = sum(tensor.nbytes for tensor in network.state_dict().values())
    return _TENSORS_PER_WEIGHT[passes.how] * weights + int(_BACKWARD_FACTOR * _activations(network, passes))


def _activations(network: nn.Module, passes: Passes) -> int:
    """Bytes stored for the backward pass or, without one, of the two largest tensors."""
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
