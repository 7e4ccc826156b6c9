"""The data sets' settings: where the files lie and how they become square images."""

from dataclasses import dataclass

from omegaconf import MISSING

from infer.config.checks import require, require_at_least


@dataclass
class DigitsConfig:
    """scikit-learn's 1,797 handwritten digits of 8x8 pixels: embedded, so there is nothing to set."""

    name: str = "digits"


@dataclass
class Cifar10Config:
    """CIFAR-10: 50,000 training and 10,000 test images of 32x32 pixels in 10 classes."""

    name: str = "cifar10"
    root: str = MISSING
    """Folder that holds ``cifar-10-python.tar.gz`` or, extracted from it, ``cifar-10-batches-py/``."""
    download: bool = False
    """Fetch the archive from its authors when it is not there."""


@dataclass
class Cifar100Config:
    """CIFAR-100 with its 100 fine labels: 50,000 training and 10,000 test images of 32x32 pixels."""

    name: str = "cifar100"
    root: str = MISSING
    """Folder that holds ``cifar-100-python.tar.gz`` or, extracted from it, ``cifar-100-python/``."""
    download: bool = False
    """Fetch the archive from its authors when it is not there."""


@dataclass
class FolderConfig:
    """Any tree of image files: ``train/`` and ``test/`` or ``val/``, each with one folder per class."""

    name: str = "folder"
    root: str = MISSING
    """Folder that holds ``train/`` and ``test/`` or ``val/``; ``~`` and ``$VARIABLES`` are expanded."""
    resize: int | None = None
    """Shorter side to this many pixels, then a centre crop; null: the files are square and of one size."""
    mean: list[float] | None = None
    """Of each channel, for pixel values in [0, 1]; null: computed from the training images."""
    std: list[float] | None = None
    """Goes with ``mean``: both are given or neither."""

    def __post_init__(self) -> None:
        require_at_least(1, "dataset.resize", self.resize)
        if self.mean is None and self.std is None:
            return
        require(self.mean is not None, "dataset.mean", None, "dataset.std is given, so give both or neither")
        require(self.std is not None, "dataset.std", None, "dataset.mean is given, so give both or neither")
        mean_fits = len(self.mean) == 3 and all(0 <= value <= 1 for value in self.mean)
        std_fits = len(self.std) == 3 and all(0 < value <= 1 for value in self.std)
        per_channel = "give three numbers, one per channel, for pixel values in [0, 1], e.g. [0.5,0.5,0.5]"
        require(mean_fits, "dataset.mean", self.mean, per_channel)
        require(std_fits, "dataset.std", self.std, f"{per_channel}, each above 0")
