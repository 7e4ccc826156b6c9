"""Settings of the teachers (stage squeeze)."""

from dataclasses import dataclass, field
from typing import Any

from infer.config.checks import require, require_at_least, require_distinct, require_fraction
from infer.config.training import Training

_GROWTH = ("start_size", "grow_from", "full_size_from")


@dataclass
class TeachersConfig(Training):
    """Architectures of the teachers, and their training with hard labels on the whole training data."""

    archs: list[str] = field(default_factory=list)
    """Architectures of the teachers; the first ``M`` of them form the ensemble."""
    checkpoints: Any = None  # Hydra cannot add keys to a typed dictionary, nor OmegaConf 2.3 replace a typed null
    """Weights of teachers that are read instead of trained, by architecture: a file, or the name of weights in
    torchvision or timm (``DEFAULT``: the library's choice), as in
    ``'teachers.checkpoints={resnet18: /path/to/ckpt.pth}'``. A name alone, ``teachers.checkpoints=IMAGENET1K_V1``, is
    used for every architecture. null: all teachers are trained. ``teachers.normalise`` must name the normalisation that
    they were trained with. They may have been trained on images that ``evaluate.split=val`` holds out; this is not
    checked."""
    published: bool = False
    """True for a published recipe: ``precision=auto`` then means fp32 on a CPU, as in the published code."""
    start_size: int | None = None
    """Height and width in pixels of the images at the start of a training with progressive resizing (``Growth``), at
    least 4; null: images have their own size throughout."""
    grow_from: float = 0.5
    """Fraction of the epochs, in [0, 1), after which images begin to grow from ``start_size``."""
    full_size_from: float = 0.8
    """Fraction of the epochs, above ``grow_from`` and below 1, after which images have their own size."""
    min_top1: Any = "auto"  # OmegaConf 2.3 cannot merge a field of type float | str | None
    """Lowest test accuracy in percent that is accepted of a teacher: a number from 0 to 100, ``auto`` (twice the
    accuracy of guessing; 75 for two classes) or null (no limit)."""

    def __post_init__(self) -> None:
        self.check("teachers")
        require(
            bool(self.archs),
            "teachers.archs",
            "[]",
            "name at least one architecture, e.g. teachers.archs=[resnet18]",
        )
        require_distinct("teachers.archs", self.archs)
        require(
            self.checkpoints is None or isinstance(self.checkpoints, str) or _maps_text_to_text(self.checkpoints),
            "teachers.checkpoints",
            self.checkpoints,
            "give a file for an architecture, e.g. 'teachers.checkpoints={resnet18: /path/to/ckpt.pth}'",
        )
        require_at_least(4, "teachers.start_size", self.start_size)
        for key in ("grow_from", "full_size_from"):
            require_fraction(f"teachers.{key}", getattr(self, key))
        require(
            self.grow_from < self.full_size_from,
            f"teachers.grow_from={self.grow_from:g} together with teachers.full_size_from",
            f"{self.full_size_from:g}",
            "images grow from the first share of the epochs to the second, which must be larger",
        )
        is_percentage = type(self.min_top1) in (int, float) and 0 <= self.min_top1 <= 100
        allowed = "give a percentage from 0 to 100, auto or null"
        require(is_percentage or self.min_top1 in ("auto", None), "teachers.min_top1", self.min_top1, allowed)

    def recipe(self) -> dict[str, Any]:
        """``Training.recipe``, with the settings of progressive resizing where it is used."""
        growth = {key: getattr(self, key) for key in _GROWTH} if self.start_size is not None else {}
        return super().recipe() | growth

    def checkpoint_of(self, arch: str) -> str | None:
        """The entry of ``checkpoints`` for ``arch``; None where the teacher is trained."""
        return self.checkpoints if isinstance(self.checkpoints, str) else self.checkpoints_by_arch.get(arch)

    @property
    def checkpoints_by_arch(self) -> dict[str, str]:
        """The entries of ``checkpoints`` for single architectures."""
        return self.checkpoints if isinstance(self.checkpoints, dict) else {}

    def required_top1(self, num_classes: int) -> float:
        """The test accuracy in percent that every teacher must reach; 0 where ``min_top1`` is null."""
        if self.min_top1 == "auto":
            chance = 100 / num_classes
            return min(2 * chance, (chance + 100) / 2)
        return self.min_top1 or 0.0


def _maps_text_to_text(given: object) -> bool:
    return isinstance(given, dict) and all(isinstance(text, str) for pair in given.items() for text in pair)
