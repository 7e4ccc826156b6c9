"""Networks on the meta device, whose tensors have shapes but no memory and no values."""

import torch
from torch import nn

from infer.models import build


def outline(arch: str, num_classes: int, image_size: int) -> nn.Module:
    """The network ``arch`` without memory for its weights. Raises UsageError where it cannot be built."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return build(arch, num_classes, image_size)


def weight_bytes(arch: str, num_classes: int, image_size: int) -> int:
    """Size in bytes of the parameters and buffers of ``arch``."""
    return sum(tensor.nbytes for tensor in outline(arch, num_classes, image_size).state_dict().values())
