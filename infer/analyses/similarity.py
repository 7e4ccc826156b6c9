"""Similarity: cosines of penultimate features within and between classes, of a set and of real images.

With f_i the normalised features of image i and y_i its class, "within" is the mean of f_i·f_j over pairs i != j with
y_i = y_j, and "between" the mean over pairs with y_i != y_j. A set whose images repeat each other has a higher cosine
within classes than the same number of real images. INFER's paper (ICLR 2025) uses this as an argument that its images
are less alike than those of SRe2L, each of which repeats the features of its class in the teacher.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.nn.functional import normalize

from infer.analyses.base import NetworkAnalysis
from infer.analyses.numbers import plain
from infer.analyses.sample import real_beside, sample_of
from infer.config import AnalysisName
from infer.methods.sets.base import DistilledArtefact
from infer.store import Artefact
from infer.teachers.teacher import Teacher


class Similarity(NetworkAnalysis):
    """Cosines on a set and on real images, by probe."""

    title = AnalysisName.similarity

    def __init__(self, images: DistilledArtefact, probes: Sequence[Teacher]) -> None:
        super().__init__(images, probes)
        self._of_set = self.outputs_on(sample_of(images))
        self._of_real = self.outputs_on(real_beside(images))

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return self.by_role(set=self._of_set, real=self._of_real)

    def measure(self) -> dict[str, Any]:
        return {
            "probes": {
                probe.arch: {
                    "set": cosines(of_set.features, of_set.targets),
                    "real": cosines(of_real.features, of_real.targets),
                }
                for probe, of_set, of_real in zip(self.probes, self._of_set, self._of_real, strict=True)
            },
            "images": {"set": len(self._of_set[0].targets), "real": len(self._of_real[0].targets)},
        }


def cosines(features: Tensor, targets: Tensor) -> dict[str, Any]:
    """Mean cosines of ``features`` [n, D] of images with classes ``targets`` [n].

    ``within`` and ``between`` are means over all pairs; ``within_by_class`` and ``between_by_class`` are means over
    the pairs with an image of a class, for each class that has images. A mean over no pairs is None.
    """
    # The sum of all cosines between two groups is the product of the groups' sums, so no [n, n] matrix is needed.
    unit = normalize(features.double(), dim=1)
    classes, which = targets.unique(return_inverse=True)
    sums = unit.new_zeros(len(classes), unit.shape[1]).index_add_(0, which, unit)
    selves = unit.new_zeros(len(classes)).index_add_(0, which, unit.square().sum(dim=1))
    sizes = which.bincount(minlength=len(classes)).double()
    within, within_pairs = sums.square().sum(dim=1) - selves, sizes * (sizes - 1)
    between, between_pairs = sums @ sums.sum(dim=0) - sums.square().sum(dim=1), sizes * (sizes.sum() - sizes)
    return {
        "within": plain(within.sum() / within_pairs.sum()),
        "between": plain(between.sum() / between_pairs.sum()),
        "within_by_class": plain(within / within_pairs),
        "between_by_class": plain(between / between_pairs),
    }
