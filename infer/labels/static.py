"""Static labels: the mean of the teachers' logits on each un-augmented image, stored once as float16.

Logits are made per teacher and block, so that sets share the logits of common blocks. They are assigned to an image by
its index in the set, never by a file name.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from infer.config import Stage
from infer.context import Context
from infer.distilled.folder import write_labels
from infer.labels.base import Labels, SoftLabelLoss
from infer.methods.budget import LOGIT_BYTES
from infer.methods.sets.base import Block, DistilledArtefact
from infer.normalisation import Normalisation
from infer.records.names import LABELS, tensor_file
from infer.store import Artefact, Sharing, Workspace
from infer.store.files import load_tensors, save_tensors
from infer.teachers.teacher import Teacher
from infer.training.batches import Batch
from infer.training.images import Images
from infer.training.mixing import mix_labels
from infer.training.objectives import Objective
from infer.training.scoring import images_together, predict_logits
from infer.work import Pass, Work

_LOGITS = "logits.safetensors"


class BlockLogits(Artefact):
    """float32 logits of one teacher on one block of images."""

    kind = "labels"
    stage = Stage.relabel
    sharing = Sharing.together

    def __init__(self, context: Context, teacher: Teacher, block: Block) -> None:
        self._context = context
        self._teacher = teacher
        self._block = block

    @property
    def name(self) -> str:
        return f"{self._context.data.name}-{self._block.name}-by-{self._teacher.arch}"

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"block": dict(self._block.settings)}

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return {"teacher": self._teacher, **self._block.parents}

    @property
    def work(self) -> Work:
        images, together = len(self._block.rows), images_together(self._context.data.image_size**2)
        return Work([self._context.passes(Pass.forward, self._teacher.arch, images, together)])

    @property
    def expected_bytes(self) -> int:
        return len(self._block.rows) * self._context.data.num_classes * torch.float32.itemsize

    def make(self, workspace: Workspace) -> dict[str, Any]:
        data = self._context.data
        images = Images(self._block.images(), data.normalisation)
        network, device = self._teacher.network(), self._context.device
        with self._context.meter(self, f"relabel {self.name}", len(images)) as meter:
            logits = predict_logits(network, images, device, "fp32", on_images=meter.advance_to)
        save_tensors(workspace.folder / _LOGITS, {"logits": logits})
        return {"images": len(images)}

    def logits(self) -> Tensor:
        """Logits float32 [n, C], in the order of the block's images."""
        return load_tensors(self._context.folder(self) / _LOGITS)["logits"]


class StaticLabels(Labels, Artefact):
    """Mean logits of the teachers for a distilled set, float16 [N, C], in the order of its images."""

    mode = "static"
    kind = "labels"
    stage = Stage.relabel

    def __init__(
        self, context: Context, images: DistilledArtefact, teachers: list[Teacher], loss: SoftLabelLoss
    ) -> None:
        self._context = context
        self._images = images
        self._loss = loss
        self._num_teachers = len(teachers)
        self._of_blocks = [
            (block, [BlockLogits(context, teacher, block) for teacher in teachers]) for block in images.blocks
        ]
        self.label_bytes = images.num_images * context.data.num_classes * LOGIT_BYTES

    @property
    def name(self) -> str:
        return f"{self._images.name}-static-by-{self._num_teachers}"

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"mode": "static", "images": self._images.signature}

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return {
            f"{b}/{t}": logits
            for b, (_, by_teacher) in enumerate(self._of_blocks)
            for t, logits in enumerate(by_teacher)
        }

    @property
    def expected_bytes(self) -> int:
        return self.label_bytes

    def make(self, workspace: Workspace) -> dict[str, Any]:
        mean = torch.empty(self._images.num_images, self._context.data.num_classes)
        for block, by_teacher in self._of_blocks:
            of_block = torch.stack([logits.logits() for logits in by_teacher]).mean(dim=0)
            mean[block.rows] = of_block[: len(block.rows)]
        write_labels(workspace.folder, mean)
        return {"images": self._images.num_images}

    def logits(self) -> Tensor:
        """The stored mean logits: float16 [N, C]."""
        return load_tensors(self._context.folder(self) / tensor_file(LABELS))["logits"]

    @property
    def student_settings(self) -> Mapping[str, Any]:
        return self._loss.settings

    def objective(self, device: torch.device, normalisation: Normalisation) -> Objective:
        return static_label_objective(self.logits(), self._loss, device)


def static_label_objective(logits: Tensor, loss: SoftLabelLoss, device: torch.device) -> Objective:
    """``loss`` with the rows of ``logits`` [N, C], which are mixed linearly with the weights of the images.

    Mixing is in logit space; for CutMix the weights are the shares of the area.
    """
    logits = logits.float().to(device)

    def objective(student: Tensor, batch: Batch) -> Tensor:
        targets = mix_labels(logits, batch.index, batch.partner, batch.weight)
        return loss(student, targets)

    return objective
