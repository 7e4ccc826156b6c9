"""Settings of the distillation methods, one dataclass each."""

from dataclasses import dataclass
from enum import Enum

from omegaconf import MISSING

from infer.config.checks import require, require_at_least, require_positive
from infer.formats.names import AUTO, FORMATS


class CompensatorDtype(str, Enum):
    """How a compensator is stored: int8 has one scale per compensator and channel."""

    int8 = "int8"
    float16 = "float16"
    float32 = "float32"


class GenerationPrecision(str, Enum):
    """Floating-point format of the optimisation."""

    fp32 = "fp32"
    fp64 = "fp64"


class ChunkStatistics(str, Enum):
    """Whose batch-norm statistics are matched where the classes pass in chunks: of all classes, or of each chunk."""

    all = "all"
    each = "each"


@dataclass
class MethodConfig:
    """What every method has."""

    name: str = MISSING

    def matched_teachers(self, ensemble: list[str]) -> list[str]:
        """Those of ``ensemble`` whose batch-norm statistics the method matches, so that they must have some."""
        return []

    def teachers_with_features(self, ensemble: list[str]) -> list[str]:
        """Those of ``ensemble`` whose features the method compares, so that they must end in a linear layer."""
        return []


@dataclass
class OptimisingMethod(MethodConfig):
    """What the methods that optimise images through a frozen teacher have in common."""

    iterations: int = 1000
    lr: float = 0.25
    """Peak learning rate of Adam, in normalised units; a cosine takes it to zero."""
    bn_weight: float = 1.0
    """Weight of batch-norm matching beside cross-entropy; r_bn in the published codes."""
    first_bn_multiplier: float = 10.0
    """Weight of the first batch-norm layer among the others."""
    jitter_px: int = 4
    """The input is rolled by 0..jitter_px pixels along both axes, drawn anew in every iteration."""
    crop_scale_min: float | None = None
    """Before the roll, a crop of this share of the area or more is enlarged to the whole and, in half of the
    iterations, mirrored: one draw for all images of a batch; null: neither."""
    precision: GenerationPrecision = GenerationPrecision.fp32
    compile: bool | None = None
    """torch.compile the loss; null: when the planned work is long enough to repay the compilation."""

    def __post_init__(self) -> None:
        require_at_least(1, "method.iterations", self.iterations)
        require_positive("method.lr", self.lr)
        require_at_least(0, "method.bn_weight", self.bn_weight)
        require_at_least(0, "method.first_bn_multiplier", self.first_bn_multiplier)
        require_at_least(0, "method.jitter_px", self.jitter_px)
        require(
            self.crop_scale_min is None or 0 < self.crop_scale_min <= 1,
            "method.crop_scale_min",
            self.crop_scale_min,
            "it must lie in (0, 1], or be null",
        )


@dataclass
class InferMethod(OptimisingMethod):
    """INFER: one compensator per teacher and natural subset, added to the images of all classes (ICLR 2025)."""

    compensator_dtype: CompensatorDtype = CompensatorDtype.int8
    group: int = 1
    """Consecutive subsets k optimised in one batch; a group is made whole or not at all."""
    class_chunk: int | None = None
    """Classes whose images pass the teacher together, for data sets that do not fit into memory otherwise; null: all.
    The compensator is one for all classes either way."""
    chunk_statistics: ChunkStatistics = ChunkStatistics.all
    """Batch-norm statistics that are matched where class_chunk is given: those over all classes, as without chunks, at
    the cost of another forward pass; or those of each chunk alone, whose penalties are averaged."""

    def matched_teachers(self, ensemble: list[str]) -> list[str]:
        return ensemble

    def chunk_of(self, num_classes: int) -> int | None:
        """``class_chunk``, or None where one chunk holds all of ``num_classes``."""
        return None if self.class_chunk is None or self.class_chunk >= num_classes else self.class_chunk

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(1, "method.group", self.group)
        require_at_least(1, "method.class_chunk", self.class_chunk)


@dataclass
class SynthesisMethod(OptimisingMethod):
    """What the methods have in common that optimise whole images, each of one class, through the first teacher."""

    bn_weight: float = 0.01
    batch_size: int = 100
    """Classes optimised together, an image each; the statistics that are matched are those of these images."""

    def matched_teachers(self, ensemble: list[str]) -> list[str]:
        return ensemble[:1]

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(1, "method.batch_size", self.batch_size)


@dataclass
class Sre2lMethod(SynthesisMethod):
    """SRe2L: images recovered from noise (NeurIPS 2023); with ``crop_milestone`` above 0 it is CDA (TMLR 2024)."""

    two_sided_jitter: bool = False
    """The input is rolled by -jitter_px..jitter_px pixels instead, as the published code does on Tiny-ImageNet."""
    crop_milestone: float = 0.0
    """CDA's curriculum: in this share of the iterations the least crop falls from the whole image to crop_scale_min
    along a cosine. 0, the default of CDA's scripts, is no curriculum; its published commands say 1."""
    group: int = 1
    """Consecutive image indices optimised in one batch, with statistics of their own; a group is made whole."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(1, "method.group", self.group)
        require(0 <= self.crop_milestone <= 1, "method.crop_milestone", self.crop_milestone, "it must lie in [0, 1]")
        require(
            self.crop_milestone == 0 or self.crop_scale_min is not None,
            "method.crop_milestone",
            self.crop_milestone,
            "it says when crops may be as small as method.crop_scale_min, which is null; give both or neither",
        )


@dataclass
class DwaMethod(SynthesisMethod):
    """DWA: real images optimised through a teacher whose weights were moved away from them first (NeurIPS 2024)."""

    variance_weight: float = 11.0
    """Weight of the variances in batch-norm matching, beside 1 for the means; r_var in the published code."""
    perturbation_steps: int = 12
    """Steps of the teacher's weights up the cross-entropy of the real images; 0: none."""
    perturbation_radius: float = 0.015
    """Length of all these steps together, in the Euclidean norm of all weights; rho in the published code."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(0, "method.variance_weight", self.variance_weight)
        require_at_least(0, "method.perturbation_steps", self.perturbation_steps)
        require_at_least(0, "method.perturbation_radius", self.perturbation_radius)


@dataclass
class RandomMethod(MethodConfig):
    """``ipc`` real images per class, drawn at random: the comparison that every method has to win."""


@dataclass
class ImportedMethod(MethodConfig):
    """A distilled set that was made elsewhere: labelled and evaluated like any other."""

    path: str = MISSING
    """Its folder or file, or a folder or run of this program; ``~`` and ``$VARIABLES`` are expanded."""
    format: str = AUTO
    """One of the formats that ``infer import --help`` lists; ``auto``: found by looking."""

    def __post_init__(self) -> None:
        allowed = f"use {AUTO}, {', '.join(FORMATS)}"
        require(self.format in (AUTO, *FORMATS), "method.format", self.format, allowed)


@dataclass
class CoresetMethod(MethodConfig):
    """What the methods have in common that choose real images by the features that the first teacher has of them."""

    def teachers_with_features(self, ensemble: list[str]) -> list[str]:
        return ensemble[:1]


@dataclass
class HerdingMethod(CoresetMethod):
    """``ipc`` real images per class whose mean feature follows that of the class (Welling 2009; iCaRL, CVPR 2017)."""


@dataclass
class KCenterMethod(CoresetMethod):
    """``ipc`` real images per class that leave none far from the nearest of them (Sener & Savarese, ICLR 2018)."""


@dataclass
class RdedMethod(MethodConfig):
    """RDED: the crops of real images that the first teacher finds most realistic, factor² to an image (CVPR 2024)."""

    factor: int = 1
    """Patches along an edge of an image; a patch is a crop resized to 1/factor of it, which must be whole pixels."""
    crops: int = 5
    """Random crops tried of every image, of which the best is kept; ``num_crop`` in the published code."""
    images_per_class: int = 300
    """At most so many images of a class are scored, drawn at random; ``mipc`` in the published code."""
    scale_min: float = 0.08
    """Smallest share of the image's area that a crop covers; the largest is 1."""

    def __post_init__(self) -> None:
        require_at_least(1, "method.factor", self.factor)
        require_at_least(1, "method.crops", self.crops)
        require_at_least(1, "method.images_per_class", self.images_per_class)
        require(0 < self.scale_min <= 1, "method.scale_min", self.scale_min, "it must lie in (0, 1]")
