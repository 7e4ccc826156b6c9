"""Similarity: cosines of penultimate features within and between classes, of a set and of real images.

With f the normalised features of image i and y its class, within = mean of f_i·f_j over pairs i != j with y_i = y_j,
between = the same over pairs with y_i != y_j. A set whose images repeat each other has a higher cosine within classes
than as many real images; INFER's paper (ICLR 2025) argues by this that its images are less alike than SRe2L's, whose
images each repeat the features that their class has in the teacher.
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
    """Cosines of a set and of as many real images, by probe."""

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
    """Mean cosines of ``features`` [n, D] of classes ``targets`` [n]: over all pairs, and by class.

    ``within`` and ``between`` are means over pairs; ``within_by_class`` and ``between_by_class`` of the pairs with an
    image of that class, for the classes that have images. None where there is no pair.
    """
    # The sum of all cosines of two groups is the product of the groups' sums, so no [n, n] matrix is needed.
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
