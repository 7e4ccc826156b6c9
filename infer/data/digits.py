"""Digits, the data set that comes with scikit-learn: 1,797 grey images of 8x8 pixels in 10 classes."""

from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from infer.config.dataset import DigitsConfig
from infer.data.base import Facts, Split
from infer.data.measure import channel_statistics, facts_of_splits

_BRIGHTEST = 16
_TEST_SHARE = 0.2
_SPLIT_SEED = 0
"""Seed of the division into training and test images, which is part of the data set and does not depend on a run."""


class Digits:
    """1,437 training and 360 test images; grey values 0..16 are scaled to 0..255 in three equal channels."""

    is_resized = False

    def __init__(self, config: DigitsConfig) -> None:
        self._name = config.name
        digits = load_digits()
        pixels = np.rint(digits.images * 255 / _BRIGHTEST).astype(np.uint8)
        images = torch.from_numpy(pixels)[:, None].expand(-1, 3, -1, -1)
        targets = torch.from_numpy(digits.target).long()
        rows = train_test_split(
            np.arange(len(pixels)), test_size=_TEST_SHARE, stratify=digits.target, random_state=_SPLIT_SEED
        )
        self._splits = {
            name: Split(images[chosen].contiguous(), targets[chosen])
            for name, chosen in zip(("train", "test"), map(torch.from_numpy, rows), strict=True)
        }

    def facts(self, cache_dir: Path) -> Facts:
        """The facts. They are not cached, since the data set is small."""
        train, test = self._splits["train"], self._splits["test"]
        classes = [str(digit) for digit in range(10)]
        return facts_of_splits(self._name, classes, train, test, channel_statistics(train.images))

    def split(self, name: str) -> Split:
        """The split ``train`` or ``test``."""
        return self._splits[name]
