"""INFER: one compensator per teacher and natural subset, shared by the images of all classes (ICLR 2025).

A natural subset P_k holds one real image per class. A compensator u is optimised so that teacher m recognises P_k + u
and finds in it the feature statistics of its training data; composed images are P_k and clip(P_k + u).
"""

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from infer.config.checks import require_at_least
from infer.methods.budget import subsets_for
from infer.methods.method import Method
from infer.methods.optimisation_settings import OptimisationSettings
from infer.methods.registry import register

if TYPE_CHECKING:
    from infer.context import Context
    from infer.methods.sets.infer_set import InferSet


class CompensatorDtype(str, Enum):
    """Storage format of a compensator: int8 has one scale per compensator and channel."""

    int8 = "int8"
    float16 = "float16"
    float32 = "float32"


class ChunkStatistics(str, Enum):
    """Batch-norm statistics that are matched where classes pass in chunks: over all classes, or over each chunk."""

    all = "all"
    each = "each"


@register("infer")
@dataclass
class InferMethod(OptimisationSettings, Method):
    """Settings of INFER."""

    compensator_dtype: CompensatorDtype = CompensatorDtype.int8
    group: int = 1
    """Consecutive subsets k optimised in one batch; a group is made whole or not at all."""
    class_chunk: int | None = None
    """Classes whose images pass the teacher together, for data sets that do not fit into memory otherwise; null: all.
    The compensator is one for all classes either way."""
    chunk_statistics: ChunkStatistics = ChunkStatistics.all
    """Batch-norm statistics that are matched where class_chunk is given: those over all classes, as without chunks, at
    the cost of another forward pass; or those of each chunk alone, whose penalties are averaged."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(1, "method.group", self.group)
        require_at_least(1, "method.class_chunk", self.class_chunk)

    def matched_teachers(self, ensemble: list[str]) -> list[str]:
        return ensemble

    def chunk_of(self, num_classes: int) -> int | None:
        """``class_chunk``, or None where one chunk holds all of ``num_classes``."""
        return None if self.class_chunk is None or self.class_chunk >= num_classes else self.class_chunk

    def compensator_settings(self, num_classes: int) -> dict[str, Any]:
        """Settings that a compensator depends on, for its signature."""
        class_chunk = self.chunk_of(num_classes)
        if class_chunk is None:
            return self.signature_settings
        return self.signature_settings | {"class_chunk": class_chunk, "chunk_statistics": self.chunk_statistics}

    def distilled_set(self, context: "Context") -> "InferSet":
        from infer.methods.sets.infer_set import InferSet
        from infer.teachers.teacher import Teacher

        config = context.config
        teachers = [Teacher(context, arch) for arch in config.ensemble]
        subsets = config.K or subsets_for(config.ipc, context.data.num_classes, len(teachers))
        context.data.require_images(subsets)
        return InferSet(context, self, teachers, subsets)
