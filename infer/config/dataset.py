"""Settings of the data sets: the place of the files, and how they become square images."""

from dataclasses import dataclass

from omegaconf import MISSING

from infer.config.checks import require, require_at_least, require_distinct, require_pixels


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
class TreeConfig:
    """Settings shared by the data sets that are trees of image files."""

    name: str = MISSING
    root: str = MISSING
    """Folder that holds the folders of the splits; ``~`` and ``$VARIABLES`` are expanded."""
    in_memory: bool | None = None
    """Decode each split once and hold it (true), or decode images whenever they are used (false); null: hold what
    takes at most a third of this machine's memory. Results are the same."""


@dataclass
class FolderConfig(TreeConfig):
    """Any tree of image files: ``train/`` and ``test/`` or ``val/``, each with one folder per class."""

    name: str = "folder"
    resize: int | None = None
    """Shorter side to this many pixels, then a centre crop; null: the files are square and of one size."""
    mean: list[float] | None = None
    """Mean of each channel, for pixel values in [0, 1]; null: computed from the training images."""
    std: list[float] | None = None
    """Standard deviation of each channel; given together with ``mean`` or not at all."""

    def __post_init__(self) -> None:
        require_pixels("dataset.resize", self.resize)
        if self.mean is not None and self.std is not None:
            check_statistics(self.mean, self.std)
            return
        require(self.std is None, "dataset.mean", None, "dataset.std is given, so give both or neither")
        require(self.mean is None, "dataset.std", None, "dataset.mean is given, so give both or neither")


@dataclass
class WnidConfig(TreeConfig):
    """Settings shared by the data sets whose class folders are named by WordNet IDs."""

    mean: list[float] = MISSING
    """Mean of each channel, for pixel values in [0, 1]."""
    std: list[float] = MISSING
    """Standard deviation of each channel."""

    @property
    def layout(self) -> str:
        """The required content of ``root``, as advice in messages."""
        raise NotImplementedError

    def __post_init__(self) -> None:
        check_statistics(self.mean, self.std)


@dataclass
class ImagenetConfig(WnidConfig):
    """ImageNet-1k or some of its classes: a tree of JPEG files, streamed where it does not fit in memory."""

    name: str = "imagenet1k"
    train: str = "train"
    """Folder below ``root`` that holds the class folders of the training images; ``.``: root itself."""
    test: str = "val"
    """Folder below ``root`` that holds the class folders of the test images. The folder of ``train`` is allowed, to try
    a pipeline on data without a validation split."""
    wnids: list[str] | None = None
    """The classes; other class folders are left alone. null: the 1,000 of ImageNet-1k."""
    resize: int = 256
    """Pixels that the shorter side of an image is resized to (bilinear, antialiased) ..."""
    image_size: int = 224
    """... before this many are cut out of its middle along both edges, of training and of test images."""

    @property
    def layout(self) -> str:
        if self.train == self.test == ".":
            return "give dataset.root=<folder> with one folder of images per WNID"
        return (
            f"give dataset.root=<folder> with {self.train}/ and {self.test}/, each with one folder of images per WNID"
        )

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(1, "dataset.image_size", self.image_size)
        allowed = f"it must be at least dataset.image_size={self.image_size}, which is cut out of the resized image"
        require(self.resize >= self.image_size, "dataset.resize", self.resize, allowed)
        require_distinct("dataset.wnids", self.wnids or [])
        require(self.wnids is None or len(self.wnids) > 1, "dataset.wnids", self.wnids, "name at least two classes")


@dataclass
class TinyImagenetConfig(WnidConfig):
    """Tiny-ImageNet: 100,000 training and 10,000 validation images of 64x64 pixels in 200 classes."""

    name: str = "tinyimagenet"

    @property
    def layout(self) -> str:
        return (
            "give dataset.root=<the unpacked tiny-imagenet-200/>, with train/<WNID>/images/ and either val/images/ and "
            "val/val_annotations.txt or val/<WNID>/"
        )


def check_statistics(mean: list[float] | None, std: list[float] | None, prefix: str = "dataset.") -> None:
    """Check the mean and the standard deviation of channels; None (left open) passes. ``prefix`` begins their keys."""
    per_channel = "give three numbers, one per channel, for pixel values in [0, 1], e.g. [0.5,0.5,0.5]"
    mean_fits = mean is None or (len(mean) == 3 and all(0 <= value <= 1 for value in mean))
    std_fits = std is None or (len(std) == 3 and all(0 < value <= 1 for value in std))
    require(mean_fits, f"{prefix}mean", mean, per_channel)
    require(std_fits, f"{prefix}std", std, f"{per_channel}, each above 0")
