"""Finds the image files of a tree of class folders and checks that the tree makes a data set."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torchvision.datasets.folder import IMG_EXTENSIONS

from infer.errors import UsageError

_LAYOUT = "give dataset.root=<folder> with train/ and test/ (or val/), each with one folder of images per class"
_SHOWN = 5


@dataclass(frozen=True)
class ImageFile:
    """An image file: its path relative to the root, size in bytes, time of change and class number."""

    path: str
    size: int
    mtime_ns: int
    target: int


@dataclass(frozen=True)
class Listing:
    """The files of both splits, sorted by path; ``classes`` are the sorted folder names."""

    classes: list[str]
    splits: dict[str, list[ImageFile]]
    """Files of ``train`` and ``test``."""
    notes: list[str]


def list_tree(root: Path) -> Listing:
    """The images under ``root/train`` and ``root/test``, or ``root/val`` where ``test`` has no class folders.

    Class folders may have folders of their own. Hidden files and folders are passed over, as are, with a
    note, files whose ending torchvision does not count as an image's. Raises UsageError for any other tree.
    """
    if not root.is_dir():
        raise UsageError(f"dataset.root={root} is not a folder: {_LAYOUT}")
    classes = _class_folders(root / "train")
    of_test = {name: folders for name in ("test", "val") if (folders := _class_folders(root / name))}
    if not classes or not of_test:
        absent = "train/" if not classes else "test/ or val/"
        raise UsageError(f"{root} has no class folders in {absent} (it holds {_some(_entries(root))}): {_LAYOUT}")
    test_name = next(iter(of_test))
    _check_same_classes(root, classes, test_name, of_test[test_name])
    passed_over: Counter[str] = Counter()
    splits = {
        "train": _list_split(root, "train", classes, passed_over),
        "test": _list_split(root, test_name, classes, passed_over),
    }
    return Listing(classes, splits, _notes(of_test, passed_over))


def _check_same_classes(root: Path, train: list[str], test_name: str, test: list[str]) -> None:
    differences = {"train": sorted(set(train) - set(test)), test_name: sorted(set(test) - set(train))}
    if any(differences.values()):
        told = "; ".join(f"only in {split}/: {_some(names)}" for split, names in differences.items() if names)
        raise UsageError(f"train/ and {test_name}/ of {root} must have the same class folders ({told})")


def _list_split(root: Path, split: str, classes: list[str], passed_over: Counter[str]) -> list[ImageFile]:
    files = []
    for target, name in enumerate(classes):
        found = [
            _describe(root, entry, target) for entry in _walk(root / split / name) if _is_image(entry, passed_over)
        ]
        if not found:
            raise UsageError(
                f"{root / split / name} has no images ({', '.join(IMG_EXTENSIONS)}): add some, or remove the "
                "class from both splits"
            )
        files += sorted(found, key=lambda file: file.path)
    return files


def _walk(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _walk(entry.path)
            else:
                yield entry


def _is_image(entry: os.DirEntry[str], passed_over: Counter[str]) -> bool:
    ending = os.path.splitext(entry.name)[1].lower()
    if ending in IMG_EXTENSIONS:
        return True
    passed_over[ending or "no ending"] += 1
    return False


def _describe(root: Path, entry: os.DirEntry[str], target: int) -> ImageFile:
    try:
        status = entry.stat()
    except OSError as error:
        raise UsageError(f"{entry.path} cannot be read ({error.strerror}): replace it or remove it") from error
    return ImageFile(entry.path.removeprefix(f"{root}{os.sep}"), status.st_size, status.st_mtime_ns, target)


def _notes(of_test: dict[str, list[str]], passed_over: Counter[str]) -> list[str]:
    notes = []
    if len(of_test) > 1:
        notes.append("test/ is the test split; val/ was left alone")
    if passed_over:
        endings = ", ".join(f"{count} {ending}" for ending, count in sorted(passed_over.items()))
        notes.append(f"files that are not images by their ending were passed over: {endings}")
    return notes


def _class_folders(split: Path) -> list[str]:
    """Sorted names of the class folders; none where ``split`` is not there."""
    return [name for name in _entries(split) if (split / name).is_dir()] if split.is_dir() else []


def _entries(folder: Path) -> list[str]:
    return sorted(entry.name for entry in os.scandir(folder) if not entry.name.startswith("."))


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN]) or "nothing"
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
