"""Measurement and caching of a data set's facts, such as channel statistics and digests of the contents."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor

from infer.data.base import Facts, Split
from infer.data.on_demand import Pixels
from infer.files import canonical_json, digest_of, is_sealed, read_json, write_sealed
from infer.ranges import consecutive

_FORMAT = "infer data 1"
"""Part of every fingerprint and cache key, to be increased when files are converted to pixels in another way."""

_BLOCK = 1024
"""Number of images whose values are counted together; counting takes eight bytes per value."""


def fingerprint(
    contents: Iterable[bytes], classes: list[str], image_size: int, mean: list[float], std: list[float]
) -> str:
    """Hex SHA-256 of classes, image size, normalisation and ``contents`` (for example paths and digests of files)."""
    digest = hashlib.sha256(canonical_json([_FORMAT, classes, image_size, mean, std]).encode())
    for part in contents:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()


def channel_statistics(images: Pixels) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel of uint8 [N,3,H,W], for pixel values in [0, 1].

    They are computed in float64 from exact counts of the 256 values, so that they do not depend on the order of images
    or the number of threads, and rounded to the 6 decimals that records show.
    """
    blocks = (images[block.start : block.stop] for block in consecutive(len(images), _BLOCK))
    counts = torch.zeros(3, 256, dtype=torch.int64)
    for block in blocks:
        counts += torch.stack([_counts_of_values(channel) for channel in block.unbind(1)])
    values = torch.arange(256, dtype=torch.float64) / 255
    share = counts.double() / counts.sum(1, keepdim=True)
    mean = share @ values
    std = (share * (values - mean[:, None]) ** 2).sum(1).sqrt()
    return _rounded(mean), _rounded(std)


def _rounded(of_channels: Tensor) -> list[float]:
    return [round(value, 6) for value in of_channels.tolist()]


def _counts_of_values(pixels: Tensor) -> Tensor:
    """Count of each of the 256 values in ``pixels``."""
    return torch.bincount(pixels.reshape(-1), minlength=256)


def facts_of_splits(
    name: str, classes: list[str], train: Split, test: Split, mean_std: tuple[list[float], list[float]]
) -> Facts:
    """The facts of a data set whose splits are tensors in memory."""
    mean, std = mean_std
    image_size = train.images.shape[-1]
    tensors = [tensor for split in (train, test) for tensor in (split.images[:], split.targets)]
    contents = [_tensor_digest(tensor) for tensor in tensors]
    return Facts(
        name=name,
        classes=classes,
        mean=mean,
        std=std,
        image_size=image_size,
        train_counts=torch.bincount(train.targets, minlength=len(classes)).tolist(),
        fingerprint=fingerprint(contents, classes, image_size, mean, std),
        notes=[],
    )


def cached_facts(cache_dir: Path, key: object, measure: Callable[[], Facts]) -> Facts:
    """The facts cached in ``cache_dir`` under ``key`` (JSON-ready); if there are none, those of ``measure`` are cached.

    A damaged file is ignored and written again.
    """
    path = cache_dir / f"{digest_of([_FORMAT, key])}.json"
    try:
        cached = read_json(path)
        if is_sealed(cached):
            return Facts(**cached["facts"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        pass
    facts = measure()
    write_sealed(path, {"facts": dataclasses.asdict(facts)})
    return facts


def _tensor_digest(tensor: Tensor) -> bytes:
    header = f"{tensor.dtype} {list(tensor.shape)} ".encode()
    digest = hashlib.sha256(header)
    digest.update(tensor.contiguous().numpy().data)
    return digest.digest()
