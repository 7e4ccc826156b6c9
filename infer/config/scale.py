"""Settings of measurements of costs over sizes."""

from dataclasses import dataclass

from infer.config.checks import require_at_least, require_at_most, require_pixels

_MOST_CLASSES = 1_000_000
"""Fifty times as many as ImageNet-21k has; every class has a name, and a network an output for it."""


@dataclass
class ScaleConfig:
    """A stand-in for the data set that has other sizes, to learn what these cost.

    A run with any of these settings records its costs and no scores: those of a stand-in say nothing.
    """

    classes: int | None = None
    """Classes of the stand-in, taken from those of the data set in turn; null: as many as the data set has."""
    image_size: int | None = None
    """Pixels along an edge that the images are resized to; null: those of the data set."""
    train_per_class: int | None = None
    """Training images per class, repeated where the data set has fewer; null: its mean."""
    test_per_class: int | None = None
    """Test images per class; null: its mean."""
    most_minutes: float | None = None
    """Minutes of work by the cost model above which a run makes nothing and only records the estimate, as it does where
    that asks for more memory than there is; 0: it never makes anything; null: it makes everything."""

    def __post_init__(self) -> None:
        require_at_least(2, "scale.classes", self.classes)
        require_at_most(_MOST_CLASSES, "scale.classes", self.classes)
        require_pixels("scale.image_size", self.image_size)
        require_at_least(1, "scale.train_per_class", self.train_per_class)
        require_at_least(1, "scale.test_per_class", self.test_per_class)
        require_at_least(0, "scale.most_minutes", self.most_minutes)

    @property
    def measures_costs(self) -> bool:
        """True if a run is there to learn what it costs, and not how good its set is."""
        return any(value is not None for value in vars(self).values())
