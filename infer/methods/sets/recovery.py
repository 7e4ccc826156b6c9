"""Images recovered from noise by SRe2L and CDA.

Every image starts as N(0, 1) noise in normalised units and is clipped to the valid range after every step
(VILA-Lab/SRe2L, recover/data_synthesis.py; CDA/recover_cda_in1k.py).
"""

import torch
from torch import Tensor

from infer.context import Context
from infer.methods.optimisation.augmentation import Augmentation
from infer.methods.sets.synthesis import SynthesisedBatch, SynthesisedSet
from infer.methods.sre2l import Sre2lMethod
from infer.ranges import consecutive
from infer.seeds import generator
from infer.teachers.teacher import Teacher


class RecoveredImages(SynthesisedBatch[Sre2lMethod]):
    """A batch of images that start as noise."""

    method_name = "sre2l"

    def start(self) -> Tensor:
        """Noise from a separate generator for each image, so that it does not depend on the batch."""
        size, seed = self.context.data.image_size, self.context.config.seed
        noise = [
            generator(seed, "noise", target, index).standard_normal((3, size, size), dtype="float32")
            for index in self.indices
            for target in self.classes
        ]
        images = torch.stack([torch.from_numpy(image) for image in noise])
        return torch.unflatten(images, 0, (len(self.indices), -1))

    @property
    def augmentation(self) -> Augmentation:
        method = self.method
        return Augmentation(method.jitter_px, method.two_sided_jitter, method.crop_scale_min, method.crop_milestone)


def recovered_set(context: Context, method: Sre2lMethod, per_class: int, teacher: Teacher) -> SynthesisedSet:
    """``per_class`` recovered images of each class; the set is named ``cda`` where crops follow CDA's curriculum."""
    groups = [range(i, i + method.group) for i in range(0, per_class, method.group)]  # the last group is whole as well
    chunks = consecutive(context.data.num_classes, method.batch_size)
    batches = [RecoveredImages(context, method, teacher, group, chunk) for group in groups for chunk in chunks]
    return SynthesisedSet(context, "cda" if method.crop_milestone else "sre2l", per_class, batches)
