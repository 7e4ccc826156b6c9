"""Listing of the image files in a tree of class folders, and checks that the tree is a data set."""

import os
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from torchvision.datasets.folder import IMG_EXTENSIONS

from infer.data.walk import class_folders, image_files, note_of, status_of, visible_entries
from infer.errors import UsageError
from infer.files import state_of
from infer.words import some

_LAYOUT = "give dataset.root=<folder> with train/ and test/ (or val/), each with one folder of images per class"


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image file: its path relative to the root, its class number, and its state as returned by ``state_of``."""

    path: str
    target: int
    state: list[int]

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self.state[0]


@dataclass(frozen=True)
class Listing:
    """Image files of a data set."""

    classes: list[str]
    """Sorted names of the class folders."""
    splits: dict[str, list[ImageFile]]
    """Files of ``train`` and ``test``, each sorted by class and path."""
    notes: list[str]

    @property
    def state(self) -> dict[str, list[list[str | int]]]:
        """Path and state of every file by split, JSON-ready; it changes with every change of a file."""
        return {name: [[file.path, *file.state] for file in files] for name, files in self.splits.items()}


def list_tree(root: Path) -> Listing:
    """The images under ``root/train`` and ``root/test``, or ``root/val`` where ``test`` has no class folders.

    Raises UsageError for any other tree, and as ``list_split`` does.
    """
    if not root.is_dir():
        raise UsageError(f"dataset.root={root} is not a folder: {_LAYOUT}")
    classes = class_folders(root / "train")
    of_test = {name: folders for name in ("test", "val") if (folders := class_folders(root / name))}
    if not classes or not of_test:
        absent = "train/" if not classes else "test/ or val/"
        raise UsageError(f"{root} has no class folders in {absent} (it holds {some(_names(root))}): {_LAYOUT}")
    test_name = next(iter(of_test))
    _check_same_classes(root, classes, test_name, of_test[test_name])
    if len(classes) == 1:
        raise UsageError(
            f"{root}/train holds one class folder, {classes[0]}/, and a data set has at least two classes: {_LAYOUT}"
        )
    passed_over: Counter[str] = Counter()
    splits = {
        "train": list_split(root, "train", classes, passed_over),
        "test": list_split(root, test_name, classes, passed_over),
    }
    left_alone = ["test/ is the test split; val/ was left alone"] if len(of_test) > 1 else []
    return Listing(classes, splits, [*left_alone, *note_of(passed_over)])


def list_split(root: Path, split: str, classes: list[str], passed_over: Counter[str]) -> list[ImageFile]:
    """The images in ``root/split``, in the order of ``classes`` (the names of class folders), and by path within a
    class.

    Class folders may contain folders. Files that are not images are counted in ``passed_over``. Raises UsageError as
    ``image_files`` does, and for a class without images.
    """
    files = []
    for target, name in enumerate(classes):
        found = [describe(root, entry, target) for entry in image_files(root / split / name, passed_over)]
        if not found:
            raise UsageError(
                f"{root / split / name} has no images ({', '.join(IMG_EXTENSIONS)}): add some, or remove the "
                "class from both splits"
            )
        files += sorted(found, key=lambda file: file.path)
    return files


def describe(root: Path, entry: os.DirEntry[str], target: int) -> ImageFile:
    """The file ``entry`` under ``root``, of class ``target``. Raises UsageError where it is not a regular file."""
    status = status_of(entry)
    return ImageFile(entry.path.removeprefix(f"{root}{os.sep}"), target, state_of(status))


def _check_same_classes(root: Path, train: list[str], test_name: str, test: list[str]) -> None:
    differences = {"train": sorted(set(train) - set(test)), test_name: sorted(set(test) - set(train))}
    if any(differences.values()):
        told = "; ".join(f"only in {split}/: {some(names)}" for split, names in differences.items() if names)
        composed = [{unicodedata.normalize("NFC", name) for name in names} for names in (train, test)]
        how = ", which differ in their Unicode form only (NFC and NFD)" if composed[0] == composed[1] else ""
        raise UsageError(f"train/ and {test_name}/ of {root} must have the same class folders ({told}{how})")


def _names(folder: Path) -> list[str]:
    return [entry.name for entry in visible_entries(folder)]
