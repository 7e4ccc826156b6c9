"""INFER: one compensator per teacher and natural subset, shared by the images of all classes (ICLR 2025).

A natural subset P_k holds one real image per class. A compensator u is optimised so that teacher m classifies the
images P_k + u correctly and their feature statistics match those of its training data. Students are trained on composed
images: P_k and clip(P_k + u).
"""

from bisect import bisect_right
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any

from infer.config.checks import require, require_at_least
from infer.methods.budget import subsets_for
from infer.methods.method import Method
from infer.methods.optimisation_settings import OptimisationSettings
from infer.methods.registry import register

if TYPE_CHECKING:
    from infer.context import Context
    from infer.methods.sets.infer_set import InferSet


class CompensatorDtype(str, Enum):
    """Number format in which compensators are stored; int8 has one scale per compensator and channel."""

    int8 = "int8"
    float16 = "float16"
    float32 = "float32"


class ChunkStatistics(str, Enum):
    """Images over which the matched batch-norm statistics are computed where classes pass the teacher in chunks."""

    all = "all"
    each = "each"


class ComposedCodec(str, Enum):
    """Compression that composed images go through before they are used: none, or the published code's JPEG."""

    exact = "exact"
    jpeg = "jpeg"


class Ablation(str, Enum):
    """Change of the optimised compensators, to study their effect."""

    none = "none"
    noise = "noise"
    """Each compensator is replaced by Gaussian noise of the same norm."""
    shuffled = "shuffled"
    """Each compensator is replaced by that of the next subset in the group, the last one by the first."""
    low_passed = "low_passed"
    """Compensators are averaged over 2x2 pixels and enlarged to their size again."""
    halved = "halved"
    """Compensators are divided by 2."""
    doubled = "doubled"
    """Compensators are multiplied by 2."""
    per_class = "per_class"
    """The image of every class has a compensator of its own, at C times the bytes."""


@register("infer")
@dataclass
class InferMethod(OptimisationSettings, Method):
    """Settings of INFER."""

    compensator_dtype: CompensatorDtype = CompensatorDtype.int8
    """Number format in which compensators are stored."""
    compensator_scale: int = 1
    """Factor by which compensators are smaller than images along each edge; it must divide the image size. They are
    optimised and stored at that size, and enlarged (bilinear) when images are composed. Since they cost 1/scale² of an
    image, K grows at equal ipc."""
    composed_codec: ComposedCodec = ComposedCodec.exact
    """Compression of composed images, natural ones included, before they are labelled and seen by students. ``exact``:
    none. ``jpeg``: as the published code stores them, truncated to bytes and compressed as JPEG of quality 75 with
    halved chroma. In either case only natural images and compensators are stored and charged."""
    ablation: Ablation = Ablation.none
    """Change of the optimised compensators, to study their effect."""
    group: int = 1
    """Number of consecutive subsets k that are optimised in one batch. A group is always made as a whole."""
    class_chunk: int | None = None
    """Number of classes whose images pass the teacher at a time, for data sets that do not fit into memory otherwise;
    null: all. The compensator is shared by all classes either way."""
    chunk_statistics: ChunkStatistics = ChunkStatistics.all
    """Images over which the matched batch-norm statistics are computed where ``class_chunk`` is given. ``all``: the
    images of all classes, as without chunks, at the cost of another forward pass. ``each``: the images of each chunk;
    the penalties of the chunks are averaged."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(1, "method.group", self.group)
        require_at_least(1, "method.class_chunk", self.class_chunk)
        require_at_least(1, "method.compensator_scale", self.compensator_scale)
        require(
            self.group > 1 or self.ablation is not Ablation.shuffled,
            "method.ablation",
            "shuffled",
            "it exchanges the compensators of a group, and method.group=1 has one; type method.group=5, for example",
        )
        require(
            self.class_chunk is None or not self.per_class,
            "method.class_chunk",
            self.class_chunk,
            "method.ablation=per_class optimises all classes in one pass; type method.class_chunk=null",
        )

    @property
    def per_class(self) -> bool:
        """True if every class has its own compensators."""
        return self.ablation is Ablation.per_class

    def matched_teachers(self, ensemble: list[str]) -> list[str]:
        return ensemble

    @property
    def is_exact_in_chunks(self) -> bool:
        """True if the result does not depend, up to rounding, on the size of the chunks."""
        return self.chunk_statistics is ChunkStatistics.all and not self.per_class

    def chunk_of(self, num_classes: int) -> int | None:
        """``class_chunk``, or None where one chunk holds all ``num_classes`` classes."""
        return None if self.class_chunk is None or self.class_chunk >= num_classes else self.class_chunk

    def compensator_settings(self, num_classes: int) -> dict[str, Any]:
        """Settings that compensators depend on, for their signatures."""
        settings = self.signature_settings
        if (class_chunk := self.chunk_of(num_classes)) is not None:
            settings |= {"class_chunk": class_chunk, "chunk_statistics": self.chunk_statistics}
        if self.compensator_scale > 1:
            settings["compensator_scale"] = self.compensator_scale
        if self.per_class:
            settings["per_class"] = True
        return settings

    def distilled_set(self, context: "Context") -> "InferSet":
        from infer.methods.sets.infer_set import InferSet
        from infer.teachers.teacher import Teacher

        config = context.config
        teachers = [Teacher(context, arch) for arch in config.ensemble]
        size, scale = context.data.image_size, self.compensator_scale
        allowed = f"an image of {size}x{size} pixels does not divide into that many parts"
        require(size % scale == 0, "method.compensator_scale", scale, allowed)
        stored = size // scale
        require(
            stored % 2 == 0 or self.ablation is not Ablation.low_passed,
            "method.ablation",
            "low_passed",
            f"it averages over 2x2 pixels, and compensators have {stored}x{stored} pixels; type another "
            "method.compensator_scale or method.ablation",
        )
        subsets = config.K or self._subsets_at(config.ipc, context, len(teachers))
        if config.K:
            context.data.require_images(subsets)
        else:
            asked = f"ipc={config.ipc} is K={subsets} and"
            context.data.require_images(subsets, "ipc", asked, most=partial(self._most_ipc, context, len(teachers)))
        return InferSet(context, self, teachers, subsets)

    def _most_ipc(self, context: "Context", num_teachers: int, subsets: int) -> int:
        """The largest ipc, up to that of the run, that pays for at most ``subsets`` natural subsets."""
        below = range(context.config.ipc)
        return bisect_right(below, subsets, key=lambda ipc: self._subsets_at(ipc, context, num_teachers)) - 1

    def _subsets_at(self, ipc: int, context: "Context", num_teachers: int) -> int:
        return subsets_for(ipc, context.data.num_classes, num_teachers, self.per_class, self.compensator_scale)
