"""DWA: real images optimised through a teacher whose weights were moved away from them (Du et al., NeurIPS 2024).

Before the first step the teacher's weights climb the cross-entropy of the images (AngusDujw/Diversity-Driven-Synthesis,
distillation/perterb.py), a little differently for every batch, and stay there: so images of one class differ more. The
batch-norm statistics to be matched are the trained ones throughout.
"""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import get_total_norm

from infer.config.method import DwaMethod
from infer.context import Context
from infer.methods.augmentation import Augmentation
from infer.methods.objective import OptimisationSettings, Problem
from infer.methods.synthesis import SynthesisedBatch, SynthesisedSet
from infer.ranges import consecutive
from infer.teachers.teacher import Teacher


class DiversifiedImages(SynthesisedBatch):
    """A batch of images that begin as real ones, the i-th natural subset, with a perturbed teacher of its own."""

    method_name = "dwa"
    method: DwaMethod

    def start(self) -> Tensor:
        data = self.context.data
        natural = data.natural(self.context.config.seed, self.indices.start, self.indices.stop)
        return data.normalisation.normalise(natural[:, self.classes.start : self.classes.stop])

    @property
    def augmentation(self) -> Augmentation:
        return Augmentation(self.method.jitter_px, crop_scale_min=self.method.crop_scale_min)

    def prepared(self, network: nn.Module, problem: Problem, settings: OptimisationSettings) -> nn.Module:
        """Perturbed with what the first iteration shows of the images."""
        first_transform = problem.transforms.to(problem.start.device)[0]
        seen = first_transform(problem.start.to(settings.dtype)).flatten(0, 1)
        classes = problem.classes.to(seen.device).repeat(len(self.indices))
        return perturbed(network, seen, classes, self.method.perturbation_steps, self.method.perturbation_radius)

    @property
    def variance_weight(self) -> float:
        return self.method.variance_weight

    @property
    def own_settings(self) -> Mapping[str, Any]:
        method = self.method
        return {
            "variance_weight": method.variance_weight,
            "perturbation": [method.perturbation_steps, method.perturbation_radius],
        }


def dwa_set(context: Context, method: DwaMethod, per_class: int, teacher: Teacher) -> SynthesisedSet:
    """``per_class`` diversified images of each class. Indices share no batch, for each has a teacher of its own."""
    chunks = consecutive(context.data.num_classes, method.batch_size)
    batches = [
        DiversifiedImages(context, method, teacher, range(i, i + 1), chunk)
        for i in range(per_class)
        for chunk in chunks
    ]
    return SynthesisedSet(context, "dwa", per_class, batches)


def perturbed(network: nn.Module, images: Tensor, classes: Tensor, steps: int, radius: float) -> nn.Module:
    """A copy of ``network``, in evaluation mode and the precision of ``images``, whose weights have climbed ``steps``
    steps of length ``radius`` / ``steps`` along the gradient of the cross-entropy of ``images`` [n, 3, H, W].

    The length is the Euclidean norm over all weights together. In the published code the chunks of classes of an index
    climb in one network, never undo it and never clear its gradients, so that each depends on those before
    (distillation_imgnet.py:137-142).
    """
    moved = copy.deepcopy(network).to(images.dtype).eval().requires_grad_(True)
    weights = list(moved.parameters())
    for _ in range(steps):
        loss = F.cross_entropy(moved(images), classes)
        # Some layers of some networks never run (EfficientNet's first block).
        gradients = torch.autograd.grad(loss, weights, materialize_grads=True)
        step = radius / steps / (get_total_norm(gradients) + 1e-12)
        with torch.no_grad():
            for weight, gradient in zip(weights, gradients, strict=True):
                weight += step * gradient
    return moved.requires_grad_(False)
