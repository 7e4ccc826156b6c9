"""Parts of a set with compensators: stored natural images and compensators."""

from dataclasses import dataclass

from torch import Tensor

from infer.config import AnalysisName
from infer.distilled.codec import EXACT
from infer.distilled.folder import read_parts
from infer.distilled.manifest import read_manifest
from infer.errors import UsageError
from infer.methods.sets.base import DistilledArtefact
from infer.methods.sets.imported_composition import ImportedComposition
from infer.methods.sets.infer_set import InferSet
from infer.normalisation import Normalisation

_MOST_CLASSES = 100
"""Largest number of classes that are used, evenly spaced: they suffice for a mean, and 1000 classes of 224 pixels would
take minutes."""


@dataclass(frozen=True)
class Parts:
    """Natural subsets, and compensators of M teachers. Where there are many classes, only every n-th is included."""

    natural: Tensor
    """uint8 [K, C, 3, H, W]."""
    compensators: Tensor
    """float32 [M, K, 3, h, w], or [M, K, C, 3, h, w] with a compensator per class, in normalised units."""
    teachers: list[str]
    """The M architectures, or numbers where the set does not name them."""
    normalisation: Normalisation
    codec: str = EXACT
    """Codec by which composed images are compressed."""


def has_compensators(images: DistilledArtefact) -> bool:
    """True if ``images`` are composed of natural images and compensators."""
    return isinstance(images, InferSet | ImportedComposition)


def require_compensators(name: AnalysisName, images: DistilledArtefact) -> None:
    """Raise UsageError where ``images`` have no compensators, which the analysis ``name`` requires."""
    if not has_compensators(images):
        raise UsageError(
            f"{name.value} is about compensators, and {images.name} has none. Leave {name.value} out, or give a "
            "set made with method=infer"
        )


def parts_of(images: DistilledArtefact) -> Parts:
    """The parts of ``images``, a set with compensators that is in the store."""
    folder = images.context.folder(images)
    manifest = read_manifest(folder)
    natural, compensators = read_parts(folder)
    step = -(-natural.shape[1] // _MOST_CLASSES)
    per_class = compensators.dim() == 6
    return Parts(
        natural[:, ::step],
        compensators[:, :, ::step] if per_class else compensators,
        [teacher["arch"] for teacher in manifest.get("teachers", [])]
        or [str(number) for number in range(1, len(compensators) + 1)],
        images.context.data.normalisation,
        manifest.get("composed_codec", EXACT),
    )
