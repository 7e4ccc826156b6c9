"""CIFAR-10 and CIFAR-100 (Krizhevsky, 2009), read by torchvision. Only files with the published MD5 are unpickled."""

import os
import tempfile
import warnings
from http.client import HTTPException
from pathlib import Path

import torch
from filelock import FileLock
from torchvision.datasets import CIFAR10, CIFAR100
from torchvision.datasets.utils import calculate_md5, check_integrity, download_url, extract_archive

from infer import normalisation
from infer.config.dataset import Cifar10Config, Cifar100Config
from infer.data.base import Facts, Split
from infer.data.measure import cached_facts, facts_of_splits
from infer.data.paths import expand
from infer.errors import UsageError
from infer.files import state_of

_KINDS: dict[type, tuple[type[CIFAR10], normalisation.Normalisation]] = {
    Cifar10Config: (CIFAR10, normalisation.CIFAR10),
    Cifar100Config: (CIFAR100, normalisation.CIFAR100),
}


class Cifar:
    """50,000 training and 10,000 test images of 32x32 pixels; of CIFAR-100 the 100 fine labels are used."""

    is_resized = False

    def __init__(self, config: Cifar10Config | Cifar100Config) -> None:
        self._name = config.name
        self._reader, self._normalisation = _KINDS[type(config)]
        self._root = expand(config.root)
        self._download = config.download
        listed = [*self._reader.train_list, *self._reader.test_list]
        listed.append([self._reader.meta["filename"], self._reader.meta["md5"]])
        self._folder = self._root / self._reader.base_folder
        self._md5_of = {self._folder / filename: md5 for filename, md5 in listed}
        self._just_read: dict[str, Split] = {}

    def facts(self, cache_dir: Path) -> Facts:
        """The facts, measured again only if the files change. Raises UsageError for missing or corrupt files."""
        self._ensure_extracted()
        state = [[str(path), *state_of(path.stat())] for path in self._md5_of]
        return cached_facts(cache_dir, [self._name, state], self._measure)

    def split(self, name: str) -> Split:
        """The split ``train`` or ``test``. Raises UsageError where a file is corrupt."""
        return self._just_read.pop(name, None) or _as_split(self._open(name))

    def _measure(self) -> Facts:
        opened = {name: self._open(name) for name in ("train", "test")}
        self._just_read = {name: _as_split(dataset) for name, dataset in opened.items()}
        classes = list(opened["train"].classes)
        return facts_of_splits(self._name, classes, **self._just_read, mean_std=self._normalisation.as_lists)

    def _open(self, name: str) -> CIFAR10:
        """torchvision's reader, which checks the MD5 of every file before it unpickles any of it."""
        try:
            with warnings.catch_warnings():
                # NumPy 2.4.0 to 2.4.4 warns about such old pickles (numpy pull request 31177).
                warnings.filterwarnings("ignore", message=r"dtype\(\): align should be passed")
                return self._reader(self._root, train=name == "train")
        except RuntimeError:
            self._name_corrupt_file()
            raise

    def _name_corrupt_file(self) -> None:
        for path, md5 in self._md5_of.items():
            if (found := calculate_md5(path)) != md5:
                raise UsageError(
                    f"{path} is corrupt: its MD5 is {found}, that of the published file {md5}. "
                    f"Delete it and {self._remedy()}"
                )

    def _ensure_extracted(self) -> None:
        """Extract the archive, in one process at a time; files become visible only once they are complete."""
        if self._is_extracted():
            return
        archive = self._root / self._reader.filename
        if not self._download and not archive.is_file():
            raise UsageError(f"{self._name} is not in dataset.root={self._root}: {self._remedy()}")
        self._root.mkdir(parents=True, exist_ok=True)
        with FileLock(self._root / f".{self._reader.filename}.lock"):
            if not self._is_extracted():
                self._ensure_archive(archive)
                self._extract(archive)

    def _is_extracted(self) -> bool:
        return all(path.is_file() for path in self._md5_of)

    def _ensure_archive(self, archive: Path) -> None:
        if check_integrity(archive, self._reader.tgz_md5):
            return
        if not self._download:
            raise UsageError(
                f"{archive} is corrupt: its MD5 is {calculate_md5(archive)}, not {self._reader.tgz_md5}. "
                f"Delete it and {self._remedy()}"
            )
        try:
            download_url(self._reader.url, self._root, self._reader.filename, self._reader.tgz_md5)
        except (OSError, HTTPException, RuntimeError) as error:
            raise UsageError(f"{self._reader.url} cannot be downloaded ({error}): {self._remedy()}") from error

    def _extract(self, archive: Path) -> None:
        with tempfile.TemporaryDirectory(dir=self._root, prefix=".extracting-") as temporary:
            extract_archive(archive, temporary)
            self._folder.mkdir(exist_ok=True)
            for path in self._md5_of:
                os.replace(Path(temporary, self._reader.base_folder, path.name), path)

    def _remedy(self) -> str:
        file = f"{self._reader.filename} (MD5 {self._reader.tgz_md5})"
        return f"put {file} into {self._root}, or pass dataset.download=true where there is internet access"


def _as_split(opened: CIFAR10) -> Split:
    images = torch.from_numpy(opened.data).permute(0, 3, 1, 2).contiguous()
    return Split(images, torch.tensor(opened.targets, dtype=torch.int64))
