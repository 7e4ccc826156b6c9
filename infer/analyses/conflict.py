"""Conflict: agreement between the compensators of different teachers, and accuracy of the teachers on composed images.

The cosine of the compensators u_ak and u_bk of teachers a and b for subset k is 1 where both change an image in the
same direction, and -1 where they change it in opposite directions. The analysis also gives the accuracy of every
network on every block of composed images (block 0: the natural images); off the diagonal it shows how well the
compensator of one teacher works for another network.

Warning: M vectors of equal length cancel if their mean cosine c over pairs is -1/(M-1), the smallest possible value,
since |sum|^2 = M + M (M-1) c. Compensators are in conflict if c < -1/(2 (M-1)): |sum|^2 is then less than half of M,
its value for orthogonal vectors.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from infer.analyses.base import NetworkAnalysis
from infer.analyses.numbers import plain
from infer.analyses.parts import Parts, parts_of, require_compensators
from infer.analyses.sample import sample_of
from infer.config import AnalysisName
from infer.methods.sets.base import DistilledArtefact
from infer.store import Artefact
from infer.teachers.teacher import Teacher


class Conflict(NetworkAnalysis):
    """Cosines between the compensators of a set, and accuracies of the probes on its blocks."""

    title = AnalysisName.conflict

    def __init__(self, images: DistilledArtefact, probes: Sequence[Teacher]) -> None:
        require_compensators(self.title, images)
        super().__init__(images, probes)
        self._outputs = self.outputs_on(sample_of(images))

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return {"images": self.images, **self.by_role(set=self._outputs)}

    def measure(self) -> dict[str, Any]:
        parts = parts_of(self.images)
        blocks, num_classes = len(parts.teachers) + 1, self.images.context.data.num_classes
        accuracy = [
            accuracy_by_block(each.logits, each.targets, each.rows // num_classes % blocks, blocks)
            for each in self._outputs
        ]
        names = ["natural", *parts.teachers]
        return {**agreement(parts), "blocks": names, "probes": [p.arch for p in self.probes], "accuracy": accuracy}


def agreement(parts: Parts) -> dict[str, Any]:
    """Cosines between compensators.

    ``cosine`` [M, M] is the mean over subsets of ``cosine_by_subset`` [K, M, M]; ``mean_cosine`` is the mean over all
    pairs of teachers and all subsets, None for one teacher. Where there is a compensator per class, those of all
    classes are concatenated.
    """
    unit = normalize(parts.compensators.flatten(2).transpose(0, 1).double(), dim=2)
    by_subset = unit @ unit.transpose(1, 2)
    teachers = len(parts.teachers)
    off_diagonal = ~torch.eye(teachers, dtype=torch.bool)
    return {
        "teachers": parts.teachers,
        "cosine": plain(by_subset.mean(dim=0)),
        "cosine_by_subset": plain(by_subset),
        "mean_cosine": plain(by_subset[:, off_diagonal].mean()),
    }


def accuracy_by_block(logits: Tensor, targets: Tensor, block_of: Tensor, blocks: int) -> list[float | None]:
    """Top-1 accuracy of ``logits`` [n, C] in percent, by block; ``block_of``, int64 [n], is the block of each image."""
    hits = (logits.argmax(dim=1) == targets).double()
    return [plain(100 * hits[block_of == block].mean()) for block in range(blocks)]


def warning_of(facts: Mapping[str, Any]) -> str | None:
    """Warning about the ``facts`` of ``agreement``; None where there is no conflict."""
    teachers, mean = len(facts["teachers"]), facts["mean_cosine"]
    if mean is None or mean >= (limit := -0.5 / (teachers - 1)):
        return None
    return (
        f"the compensators of the {teachers} teachers pull against each other: their mean cosine is {mean:.2f}, below "
        f"{limit:.2f}, halfway to cancelling out. Try M=1, or teachers that are more alike (teachers.archs)"
    )
