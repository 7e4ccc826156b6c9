"""Real images optimised by DWA through a teacher whose weights are perturbed for each batch.

Before the first step the teacher's weights take gradient ascent steps on the cross-entropy of the images
(AngusDujw/Diversity-Driven-Synthesis, distillation/perterb.py) and then stay fixed. Every batch has a different
perturbation, so images of one class become more diverse. The matched batch-norm statistics are those of the trained
teacher.
"""

import copy
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import get_total_norm

from infer.context import Context
from infer.methods.dwa import DwaMethod
from infer.methods.optimisation.loss import Problem, torch_dtype
from infer.methods.sets.synthesis import SynthesisedBatch, SynthesisedSet
from infer.ranges import consecutive
from infer.teachers.teacher import Teacher


class DiversifiedImages(SynthesisedBatch[DwaMethod]):
    """A batch of images that start as real images of the i-th natural subset, with its own perturbed teacher."""

    method_name = "dwa"

    def start(self) -> Tensor:
        data = self.context.data
        natural = data.natural(self.context.config.seed, self.indices.start, self.indices.stop)
        return data.normalisation.normalise(natural[:, self.classes.start : self.classes.stop])

    def prepared(self, network: nn.Module, problem: Problem) -> tuple[nn.Module, Problem]:
        """The teacher, perturbed on the images under the transform of the first iteration, and the problem."""
        method, accumulates = self.method, self.method.accumulate_ascent_gradient
        start = problem.start.detach().to(torch_dtype(method.precision)).requires_grad_(accumulates)
        transformed = problem.transforms.to(start.device)[0](start).flatten(0, 1)
        images = transformed.detach().requires_grad_(accumulates)
        classes = problem.classes.to(images.device).repeat(len(self.indices))
        moved = perturbed(network, images, classes, method.perturbation_steps, method.perturbation_radius)
        if images.grad is None:
            return moved, problem
        (gradient,) = torch.autograd.grad(transformed, start, images.grad)
        return moved, replace(problem, gradient_before=gradient)

    @property
    def variance_weight(self) -> float:
        return self.method.variance_weight


def diversified_set(context: Context, method: DwaMethod, per_class: int, teacher: Teacher) -> SynthesisedSet:
    """``per_class`` diversified images of each class. Each index has its own teacher, so a batch holds one index."""
    chunks = consecutive(context.data.num_classes, method.batch_size)
    batches = [
        DiversifiedImages(context, method, teacher, range(i, i + 1), chunk)
        for i in range(per_class)
        for chunk in chunks
    ]
    return SynthesisedSet(context, "dwa", per_class, batches)


def perturbed(network: nn.Module, images: Tensor, classes: Tensor, steps: int, radius: float) -> nn.Module:
    """A copy of ``network`` whose weights were moved up the cross-entropy of ``images`` [n, 3, H, W].

    The weights take ``steps`` steps of length ``radius`` / ``steps`` along the gradient, in the Euclidean norm over all
    weights. The copy is in evaluation mode and has the dtype of ``images``. Where ``images`` require a gradient, the
    gradients of all steps are added up in ``images.grad``.

    In the published code all chunks of classes of an index perturb the same network, which is not restored and whose
    gradients are not cleared, so that each chunk depends on the earlier ones (distillation_imgnet.py:137-142).
    """
    moved = copy.deepcopy(network).to(images.dtype).eval().requires_grad_(True)
    weights = list(moved.parameters())
    followed = [images] if images.requires_grad else []
    for _ in range(steps):
        loss = F.cross_entropy(moved(images), classes)
        # Some networks have layers that never run (EfficientNet's first block) and so no gradient.
        found = torch.autograd.grad(loss, [*weights, *followed], materialize_grads=True)
        gradients, of_images = found[: len(weights)], found[len(weights) :]
        step = radius / steps / (get_total_norm(gradients) + 1e-12)
        with torch.no_grad():
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.add_(step * gradient)
        for gradient in of_images:
            images.grad = gradient if images.grad is None else images.grad + gradient
    return moved.requires_grad_(False)
