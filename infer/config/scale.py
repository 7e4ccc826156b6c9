"""Settings for measuring the cost of a run at other sizes than those of its data set."""

from dataclasses import dataclass

from infer.config.checks import require_at_least, require_at_most, require_pixels

_MOST_CLASSES = 1_000_000
"""Largest number of classes, fifty times that of ImageNet-21k; each needs a name, and an output of every network."""


@dataclass
class ScaleConfig:
    """Sizes of a stand-in for the data set, to measure the cost of a run at these sizes.

    A run with any of these settings records its costs but no scores, since scores on a stand-in mean nothing.
    """

    classes: int | None = None
    """Number of classes, at least 2. They take the images of the data set's classes in turn. null: as many as the data
    set has."""
    image_size: int | None = None
    """Edge in pixels to which the images are resized; null: that of the data set."""
    train_per_class: int | None = None
    """Training images per class, repeated where the data set has fewer; null: the data set's mean."""
    test_per_class: int | None = None
    """Test images per class, repeated where the data set has fewer; null: the data set's mean."""
    most_minutes: float | None = None
    """Limit in minutes on the time that the cost model estimates. Above it, or where the estimated memory exceeds that
    of the device, a run makes nothing and only records the estimate. 0: nothing is ever made. null: no limit."""

    def __post_init__(self) -> None:
        require_at_least(2, "scale.classes", self.classes)
        require_at_most(_MOST_CLASSES, "scale.classes", self.classes)
        require_pixels("scale.image_size", self.image_size)
        require_at_least(1, "scale.train_per_class", self.train_per_class)
        require_at_least(1, "scale.test_per_class", self.test_per_class)
        require_at_least(0, "scale.most_minutes", self.most_minutes)

    @property
    def measures_costs(self) -> bool:
        """True if a run is made to measure its costs instead of scores."""
        return any(value is not None for value in vars(self).values())
