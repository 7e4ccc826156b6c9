"""Data sets behind one small interface; importing this package needs no torch, loading a data set does."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from infer.config.dataset import (
    Cifar10Config,
    Cifar100Config,
    DigitsConfig,
    FolderConfig,
    ImagenetConfig,
    TinyImagenetConfig,
)

if TYPE_CHECKING:
    from infer.data.base import ImageDataset, Source


def load(config: Any, cache_dir: Path, threads: int) -> "ImageDataset":
    """The data set that ``config``, one of the classes in ``infer.config.dataset``, describes.

    ``cache_dir`` keeps what was measured on its files; ``threads`` is how many decode images. Raises
    UsageError when files are missing, corrupt or do not make a data set.
    """
    from infer.data.base import ImageDataset

    source = _sources()[type(config)](config, threads)
    facts = source.facts(cache_dir)
    return ImageDataset(**vars(facts), read=source.split)


def _sources() -> dict[type, type["Source"]]:
    """The class that reads each kind of data set."""
    from infer.data.cifar import Cifar
    from infer.data.digits import Digits
    from infer.data.folder import Folder
    from infer.data.imagenet import Imagenet, TinyImagenet

    return {
        DigitsConfig: Digits,
        Cifar10Config: Cifar,
        Cifar100Config: Cifar,
        FolderConfig: Folder,
        ImagenetConfig: Imagenet,
        TinyImagenetConfig: TinyImagenet,
    }
