"""Networks on the meta device, which have shapes but neither memory nor values."""

import torch
from torch import nn

from infer.models import build


def outline(arch: str, num_classes: int, image_size: int) -> nn.Module:
    """The network ``arch`` without memory for its weights; raises UsageError where it cannot be built."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return build(arch, num_classes, image_size)


def weight_bytes(arch: str, num_classes: int, image_size: int) -> int:
    """Bytes of the parameters and the running statistics of ``arch``."""
    return sum(tensor.nbytes for tensor in outline(arch, num_classes, image_size).state_dict().values())
