"""Data sets with a common interface. Importing this package does not import torch; loading a data set does."""

from pathlib import Path
from typing import TYPE_CHECKING

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

DatasetConfig = DigitsConfig | Cifar10Config | Cifar100Config | FolderConfig | ImagenetConfig | TinyImagenetConfig


def load(config: DatasetConfig, cache_dir: Path, threads: int) -> "ImageDataset":
    """The data set that ``config`` describes.

    Measurements of its files are stored in ``cache_dir``; images are decoded by ``threads`` threads. Raises UsageError
    where files are missing, corrupt, or not arranged as a data set.
    """
    from infer.data.base import ImageDataset

    source = _source(config, threads)
    facts = source.facts(cache_dir)
    return ImageDataset(**vars(facts), read=source.split, is_resized=source.is_resized)


def _source(config: DatasetConfig, threads: int) -> "Source":
    """The reader for data sets of this kind."""
    match config:
        case DigitsConfig():
            from infer.data.digits import Digits

            return Digits(config)
        case Cifar10Config() | Cifar100Config():
            from infer.data.cifar import Cifar

            return Cifar(config)
        case FolderConfig():
            from infer.data.folder import Folder

            return Folder(config, threads)
        case ImagenetConfig():
            from infer.data.imagenet import Imagenet

            return Imagenet(config, threads)
        case TinyImagenetConfig():
            from infer.data.imagenet import TinyImagenet

            return TinyImagenet(config, threads)
