"""Small generated data sets: trees of image files, and archives laid out as CIFAR's."""

import hashlib
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import CIFAR10, CIFAR100

import infer.data
from infer.config.dataset import FolderConfig
from infer.data.base import ImageDataset, Split
from infer.data.measure import channel_statistics, facts_of_splits
from infer.errors import UsageError

MakeTree = Callable[..., Path]


def noise(seed: int, width: int = 8, height: int = 8) -> Image.Image:
    """An RGB image of random pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture
def make_tree(tmp_path: Path) -> MakeTree:
    """Makes a tree of PNG files from ``{"train": {"cat": 3}, ...}`` and gives its root."""

    def make(counts: dict[str, dict[str, int]], name: str = "tree", size: int = 8) -> Path:
        seed = 0
        for split, classes in counts.items():
            for label, count in classes.items():
                folder = tmp_path / name / split / label
                folder.mkdir(parents=True)
                for index in range(count):
                    noise(seed := seed + 1, size, size).save(folder / f"{index}.png")
        return tmp_path / name

    return make


@pytest.fixture
def small_tree(make_tree: MakeTree) -> Path:
    """Two classes, 3 + 4 training images and 2 + 1 test images of 8x8 pixels."""
    return make_tree({"train": {"cat": 3, "dog": 4}, "test": {"cat": 2, "dog": 1}})


@pytest.fixture
def load_folder(tmp_path: Path) -> Callable[..., ImageDataset]:
    """Loads a tree with the settings given, with one cache for the test."""

    def load(root: Path | str, **settings: object) -> ImageDataset:
        return infer.data.load(FolderConfig(root=str(root), **settings), tmp_path / "cache", threads=2)

    return load


@pytest.fixture
def refusal() -> Callable[..., str]:
    """Calls and gives the UsageError's message, which must be one line."""

    def message(call: Callable[..., object], *args: object, **kwargs: object) -> str:
        with pytest.raises(UsageError) as raised:
            call(*args, **kwargs)
        assert "\n" not in str(raised.value)
        return str(raised.value)

    return message


@pytest.fixture
def labelled() -> Callable[[list[int]], ImageDataset]:
    """A data set in memory whose image i has the value i everywhere, its classes mixed, of the counts given."""

    def make(counts: list[int]) -> ImageDataset:
        targets = torch.from_numpy(np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts)))
        images = torch.arange(len(targets), dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 2, 2).contiguous()
        splits = {"train": Split(images, targets), "test": Split(images[:2], targets[:2])}
        names = [f"class {c}" for c in range(len(counts))]
        facts = facts_of_splits("made", names, **splits, mean_std=channel_statistics(images))
        return ImageDataset(**vars(facts), read=splits.__getitem__)

    return make


class CifarLayout:
    """A generated data set in the file layout of CIFAR-10 or CIFAR-100, whose sums torchvision is told."""

    def __init__(self, reader: type[CIFAR10], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reader = reader
        self.folder = folder / reader.base_folder
        self.classes = [f"class {c}" for c in range(10 if reader is CIFAR10 else 100)]
        self._monkeypatch = monkeypatch
        self.pixels: dict[str, np.ndarray] = {}
        self.targets: dict[str, list[int]] = {}
        self.folder.mkdir(parents=True)
        for seed, (filename, _) in enumerate([*reader.train_list, *reader.test_list]):
            self._write_batch(filename, seed)
        self.write(reader.meta["filename"], {reader.meta["key"]: self.classes})
        self.publish()

    def _write_batch(self, filename: str, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.pixels[filename] = random.integers(0, 256, (2 * len(self.classes), 3072), dtype=np.uint8)
        self.targets[filename] = random.permutation(2 * list(range(len(self.classes)))).tolist()
        key = "labels" if self.reader is CIFAR10 else "fine_labels"
        coarse = {"coarse_labels": [0] * len(self.targets[filename])} if self.reader is CIFAR100 else {}
        self.write(filename, {"data": self.pixels[filename], key: self.targets[filename], **coarse})

    def write(self, filename: str, content: object) -> None:
        """Write a pickle without telling torchvision of its sum."""
        (self.folder / filename).write_bytes(pickle.dumps(content, protocol=2))

    def publish(self) -> None:
        """Make the sums of the files as they are the published ones."""
        listed = {name: [[file, self._md5(file)] for file, _ in getattr(self.reader, name)] for name in _LISTS}
        for name, files in listed.items():
            self._monkeypatch.setattr(self.reader, name, files)
        meta = {**self.reader.meta, "md5": self._md5(self.reader.meta["filename"])}
        self._monkeypatch.setattr(self.reader, "meta", meta)

    def pack(self, root: Path) -> Path:
        """Write the published archive of the files into ``root``."""
        root.mkdir(exist_ok=True)
        archive = root / self.reader.filename
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(self.folder, arcname=self.reader.base_folder)
        self._monkeypatch.setattr(self.reader, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
        return archive

    def _md5(self, filename: str) -> str:
        return hashlib.md5((self.folder / filename).read_bytes()).hexdigest()


_LISTS = ("train_list", "test_list")


@pytest.fixture(params=[CIFAR10, CIFAR100], ids=["cifar10", "cifar100"])
def cifar(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CifarLayout:
    return CifarLayout(request.param, tmp_path / "cifar", monkeypatch)
