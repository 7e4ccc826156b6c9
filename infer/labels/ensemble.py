"""Ensemble of teachers that labels batches by the mean of their logits on augmented and mixed images."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from infer.config.evaluate import TeacherBn
from infer.context import Context
from infer.normalisation import Normalisation
from infer.store import Artefact
from infer.teachers.teacher import Teacher
from infer.work import Pass, Passes


class Ensemble:
    """Teachers whose logits are averaged."""

    def __init__(self, context: Context, teachers: list[Teacher]) -> None:
        self._context = context
        self._teachers = teachers
        self._teacher_bn = context.config.evaluate.teacher_bn

    @property
    def settings(self) -> Mapping[str, Any]:
        """Settings, besides images and teachers, that the logits depend on; those at their defaults are left out."""
        return {} if self._teacher_bn is TeacherBn.eval else {"teacher_bn": self._teacher_bn.value}

    @property
    def parents(self) -> Mapping[str, Artefact]:
        """The teachers, by role."""
        return {f"teacher/{number}": teacher for number, teacher in enumerate(self._teachers)}

    def passes(self, images: int, at_once: int) -> list[Passes]:
        """Passes of ``images`` images through every teacher, ``at_once`` together."""
        return [self._context.passes(Pass.forward, teacher.arch, images, at_once) for teacher in self._teachers]

    def labeller(self, normalisation: Normalisation) -> Callable[[Tensor], Tensor]:
        """Function from float32 images [B, 3, H, W] with ``normalisation`` to float32 logits [B, C].

        Images and logits are on the run's device.
        """
        device = self._context.device
        networks = [teacher.network(normalisation).to(device) for teacher in self._teachers]
        networks = [network.to(memory_format=torch.channels_last) for network in networks]
        if self._teacher_bn is TeacherBn.batch:
            networks = [with_batch_statistics(network) for network in networks]

        @torch.no_grad()
        def logits(images: Tensor) -> Tensor:
            return torch.stack([network(images).float() for network in networks]).mean(dim=0)

        return logits


def with_batch_statistics(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode whose batch-norm layers have no running statistics, so they use those of the batch."""
    network = copy.deepcopy(network).eval()
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.running_mean = module.running_var = None
    return network
