"""Settings of the data sets: the location of the files, and their conversion to square images."""

from dataclasses import dataclass

from omegaconf import MISSING

from infer.config.checks import require, require_at_least, require_distinct, require_pixels


@dataclass
class DigitsConfig:
    """scikit-learn's 1,797 handwritten digits of 8x8 pixels. They come with the library, so there are no settings."""

    name: str = "digits"


@dataclass
class Cifar10Config:
    """CIFAR-10: 50,000 training and 10,000 test images of 32x32 pixels in 10 classes."""

    name: str = "cifar10"
    root: str = MISSING
    """Folder with ``cifar-10-python.tar.gz`` or the folder extracted from it, ``cifar-10-batches-py/``."""
    download: bool = False
    """Download the archive from its authors' site where it is missing."""


@dataclass
class Cifar100Config:
    """CIFAR-100 with its 100 fine labels: 50,000 training and 10,000 test images of 32x32 pixels."""

    name: str = "cifar100"
    root: str = MISSING
    """Folder with ``cifar-100-python.tar.gz`` or the folder extracted from it, ``cifar-100-python/``."""
    download: bool = False
    """Download the archive from its authors' site where it is missing."""


@dataclass
class TreeConfig:
    """Settings shared by the data sets that are trees of image files."""

    name: str = MISSING
    root: str = MISSING
    """Folder with one folder per split; ``~`` and ``$VARIABLES`` are expanded."""
    in_memory: bool | None = None
    """True: decode each split once and keep it in memory. False: decode an image each time it is used. null: keep a
    split in memory where it takes at most a third of this machine's memory. Results do not depend on it."""


@dataclass
class FolderConfig(TreeConfig):
    """Any tree of image files: ``train/`` and ``test/`` or ``val/``, each with one folder per class."""

    name: str = "folder"
    resize: int | None = None
    """Edge of the images in pixels: the shorter side of each file is resized to it (bicubic), and the centre is
    cropped. null: files are used as they are, and must be square and of one size."""
    mean: list[float] | None = None
    """Mean of each channel, for pixel values in [0, 1]; null: computed from the training images."""
    std: list[float] | None = None
    """Standard deviation of each channel, for pixel values in [0, 1]; to be given together with ``mean``."""

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
    """Standard deviation of each channel, for pixel values in [0, 1]."""

    @property
    def layout(self) -> str:
        """Description of what ``root`` must contain, for messages."""
        raise NotImplementedError

    def __post_init__(self) -> None:
        check_statistics(self.mean, self.std)


@dataclass
class ImagenetConfig(WnidConfig):
    """ImageNet-1k or some of its classes: a tree of JPEG files, decoded as they are used where memory is too small."""

    name: str = "imagenet1k"
    train: str = "train"
    """Folder below ``root`` with the class folders of the training images; ``.``: ``root`` itself."""
    test: str = "val"
    """Folder below ``root`` with the class folders of the test images. It may be the folder of ``train``, to try the
    pipeline on data without a validation split."""
    wnids: list[str] | None = None
    """WordNet IDs of the classes, at least two; folders of other classes are ignored. null: the 1,000 classes of
    ImageNet-1k."""
    resize: int = 256
    """Length in pixels to which the shorter side of every training and test image is resized (bilinear, antialiased)
    before the centre crop."""
    image_size: int = 224
    """Edge in pixels of the centre crop that is taken of the resized image; at most ``resize``."""

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
    """Check the mean and the standard deviation of the channels; None (not set) passes.

    ``prefix`` is the first part of their keys in messages.
    """
    per_channel = "give three numbers, one per channel, for pixel values in [0, 1], e.g. [0.5,0.5,0.5]"
    mean_fits = mean is None or (len(mean) == 3 and all(0 <= value <= 1 for value in mean))
    std_fits = std is None or (len(std) == 3 and all(0 < value <= 1 for value in std))
    require(mean_fits, f"{prefix}mean", mean, per_channel)
    require(std_fits, f"{prefix}std", std, f"{per_channel}, each above 0")
