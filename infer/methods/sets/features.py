"""Penultimate features of a teacher on real images: the inputs of its last linear layer."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from infer.errors import UsageError
from infer.methods.sets.teacher_outputs import TeacherOutputs
from infer.training.images import Images
from infer.training.scoring import images_together, predict_logits
from infer.work import Pass, Work

_ARCHS_OF = {"teacher": "teachers.archs", "student": "student.archs"}
"""Settings that name the architectures, by the role of a network."""


class Features(TeacherOutputs):
    """float32 features of the un-augmented training images, from the teacher in eval mode."""

    kind = "features"

    def network(self) -> nn.Module:
        """The teacher without its last layer."""
        return without_head(self.teacher.network(), self.teacher.arch, self.context.data.image_size)

    @property
    def work(self) -> Work:
        images, together = sum(self.counts), images_together(self.context.data.image_size**2)
        return Work([self.context.passes(Pass.forward, self.teacher.arch, images, together)])

    def images_of(self, target: int) -> Tensor:
        return self.context.data.class_indices[target]

    def outputs_for(
        self, network: nn.Module, target: int, index: Tensor, on_images: Callable[[int], None]
    ) -> dict[str, Tensor]:
        data = self.context.data
        images = Images(data.train.only(index).images, data.normalisation)
        # The outputs of a network without a head are its features.
        features = predict_logits(network, images, device=self.context.device, on_images=on_images)
        return {"index": index, "features": features}


def without_head(network: nn.Module, arch: str, image_size: int) -> nn.Module:
    """A copy of ``network`` that returns features [B, D] in place of logits. Raises UsageError as ``head_of`` does."""
    headless = copy.deepcopy(network)
    headless.set_submodule(head_of(network, arch, image_size), nn.Identity())
    return headless


def head_of(
    network: nn.Module,
    arch: str,
    image_size: int,
    otherwise: str = "or a method without features: method=random",
    role: str = "teacher",
) -> str:
    """Name of the linear layer whose output is the output of ``network``, which is in eval mode on any device.

    The layer is found by running one image, so the order in which layers are registered does not matter. Raises
    UsageError for a network that ends in anything else, such as a convolution or the mean of two heads; its message
    begins with ``role`` and ends in the advice ``otherwise``.
    """
    outputs: dict[str, Tensor] = {}

    def record_output(name: str) -> torch.utils.hooks.RemovableHandle:
        return network.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output: outputs.update({name: output})
        )

    hooks = [record_output(name) for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    device = next(network.parameters()).device
    with torch.no_grad():
        logits = network(torch.zeros(1, 3, image_size, image_size, device=device))
    for hook in hooks:
        hook.remove()
    for name, output in outputs.items():
        if output is logits:
            return name
    raise UsageError(
        f"{role} {arch} does not end in a linear layer, whose input would be the features that are compared. "
        f"Choose another, e.g. {_ARCHS_OF[role]}=[resnet18], {otherwise}"
    )
