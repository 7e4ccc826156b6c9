"""Measures a data set's facts, such as channel statistics and digests of the contents, and caches them."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import torch

from infer.data.base import Facts, Split
from infer.files import canonical_json, digest_of, read_json, write_json

# Part of every fingerprint and cache key: raise it when the way in which files become pixels changes.
_FORMAT = "infer data 1"

# Images counted at once: counting takes eight bytes per value.
_BLOCK = 1024


def fingerprint(
    contents: Iterable[bytes], classes: list[str], image_size: int, mean: list[float], std: list[float]
) -> str:
    """Hex SHA-256 over ``contents``, names and digests in a fixed order, and what gives pixels a meaning."""
    digest = hashlib.sha256(canonical_json([_FORMAT, classes, image_size, mean, std]).encode())
    for part in contents:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()


def channel_statistics(images: torch.Tensor) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel of uint8 [N,3,H,W], for pixel values in [0, 1].

    Taken in float64 from exact counts of the 256 values, so that neither order nor threads matter, and
    rounded to the 6 decimals that every record shows.
    """
    values = torch.arange(256, dtype=torch.float64) / 255
    means, stds = [], []
    for channel in images.unbind(1):
        blocks = channel.split(_BLOCK)
        counts = sum(torch.bincount(block.reshape(-1), minlength=256) for block in blocks).double()
        share = counts / counts.sum()
        mean = share @ values
        means.append(round(mean.item(), 6))
        stds.append(round((share @ (values - mean) ** 2).sqrt().item(), 6))
    return means, stds


def facts_of_splits(
    name: str, classes: list[str], train: Split, test: Split, mean_std: tuple[list[float], list[float]]
) -> Facts:
    """The facts of a data set whose contents are its decoded tensors."""
    mean, std = mean_std
    image_size = train.images.shape[-1]
    contents = [_tensor_digest(tensor) for split in (train, test) for tensor in (split.images, split.targets)]
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
    """The facts kept in ``cache_dir`` under ``key`` (JSON-ready), else those of ``measure``, then kept.

    A file that does not hold facts counts as none.
    """
    path = cache_dir / f"{digest_of([_FORMAT, key])}.json"
    try:
        return Facts(**read_json(path))
    except (OSError, ValueError, TypeError):
        facts = measure()
    write_json(path, dataclasses.asdict(facts))
    return facts


def _tensor_digest(tensor: torch.Tensor) -> bytes:
    header = f"{tensor.dtype} {list(tensor.shape)} ".encode()
    digest = hashlib.sha256(header)
    digest.update(tensor.contiguous().numpy())
    return digest.digest()
