"""Exponential moving average of a network's weights, which is tested and kept in place of the last weights."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class WeightAverage:
    """Moving average of weights and buffers: average <- decay · average + (1 - decay) · model.

    It starts from the model's values. ``torch.optim.swa_utils.AveragedModel`` computes the same, but waits for the
    device at every update to read a counter. Integer buffers (counts, index tables) are not averaged.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.module = copy.deepcopy(model).requires_grad_(False)
        self._averages = _floating_point_tensors(self.module)
        self._values = _floating_point_tensors(model)
        self._average: Callable[[list[Tensor], list[Tensor], None], None] = get_ema_multi_avg_fn(decay)

    def update(self) -> None:
        """Update the average with the model's current weights."""
        self._average(self._averages, self._values, None)

    @torch.no_grad()
    def copy_to_model(self) -> None:
        """Replace the model's weights and buffers by their averages."""
        for value, average in zip(self._values, self._averages, strict=True):
            value.copy_(average)


def _floating_point_tensors(module: nn.Module) -> list[Tensor]:
    tensors = [tensor.detach() for tensor in (*module.parameters(), *module.buffers())]
    return [tensor for tensor in tensors if tensor.is_floating_point()]
