"""Trees of image files with one folder per class, in the layouts of published code.

=========== ================================================ =======================================================
sre2l       ``new{c:03d}/class{c:03d}_id{i:03d}.jpg``        SRe2L, CDA, UFC, DWA, G-VBSM, EDC, CV-DD
rded        ``{c:05d}/class{c:05d}_id{i:05d}.jpg``           RDED and those that share its folders, DD-Ranking
imagefolder ``<class name>/<anything>.png``                  torchvision's ImageFolder
=========== ================================================ =======================================================

Images are read in the order of ImageFolder, since label files refer to images by their positions in it. For sre2l and
rded, the class is the number in the folder's name; for imagefolder, it is the position among the sorted names.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torchvision.datasets.folder import IMG_EXTENSIONS

from infer.data.decode import decode_images
from infer.data.walk import class_folders, image_files, note_of
from infer.errors import UsageError
from infer.formats.encode import encoded, ending
from infer.formats.foreign_set import ForeignSet, counted_by_class
from infer.formats.pixels import of_one_size
from infer.words import fault_of_name, visible

_CLASS_IN_NAME = re.compile(r"class(\d+)_id\d+")


@dataclass(frozen=True)
class Layout:
    """Names of folders and files in a tree."""

    folder: Callable[[int, Sequence[str]], str]
    """Returns the name of the folder of class c, given the class names."""
    file: Callable[[int, int], str]
    """Returns the name of the file of image i of class c, without extension."""
    numbered: re.Pattern[str] | None
    """Pattern of the names of folders, which contain the number of the class; None where they are class names."""


SRE2L = Layout(lambda c, _: f"new{c:03d}", lambda c, i: f"class{c:03d}_id{i:03d}", re.compile(r"new(\d{3,5})"))
RDED = Layout(lambda c, _: f"{c:05d}", lambda c, i: f"class{c:05d}_id{i:05d}", re.compile(r"(\d{5})"))
IMAGEFOLDER = Layout(lambda c, names: names[c], lambda _, i: f"{i:05d}", None)


def recognises(layout: Layout, path: Path) -> bool:
    """True if the folders in ``path`` have names as in ``layout`` and contain images."""
    root = _root(path)
    names = class_folders(root)
    fits = layout.numbered is None or all(layout.numbered.fullmatch(name) for name in names)
    return fits and any(True for name in names for _ in image_files(root / name, Counter()))


def files(layout: Layout, path: Path) -> list[Path]:
    """The image files, in the order of ImageFolder."""
    root = _root(path)
    return [file for name in class_folders(root) for file in _images(root / name, Counter())]


def read(layout: Layout, path: Path, num_classes: int | None) -> ForeignSet:
    """The images of a tree, decoded.

    Raises UsageError unless they are squares of one size, in folders as in ``layout``, with one folder per class.
    """
    root = _root(path)
    names = class_folders(root)
    passed_over: Counter[str] = Counter()
    found = {name: _images(root / name, passed_over) for name in names}
    class_of = _class_numbers(layout, root, names)
    paths = [file for listed in found.values() for file in listed]
    if not paths:
        raise UsageError(f"{path} holds no images in class folders ({', '.join(IMG_EXTENSIONS)})")
    for name, listed in found.items():
        for file in listed:
            _check_class_in_name(layout, file, class_of[name])
    targets = torch.tensor([class_of[name] for name, listed in found.items() for _ in listed])
    classes = names if layout.numbered is None else None
    with closing(decode_images(paths, None, torch.get_num_threads())) as decoder:
        pixels = of_one_size(zip(paths, (image.pixels for image in decoder), strict=True), len(paths))
    return ForeignSet(pixels, targets, classes, notes=note_of(passed_over)).require_square(path)


def write(
    layout: Layout,
    folder: Path,
    images: Tensor,
    finished: ForeignSet,
    classes: Sequence[str],
    jpeg_quality: int | None,
) -> None:
    """Write ``images`` uint8 [N, 3, H, H] of the set ``finished`` as files of ``layout``."""
    for target in finished.targets.unique().tolist():
        if fault := fault_of_name(layout.folder(target, classes)):
            raise UsageError(
                f"class {target} is called {visible(classes[target])!r}, which cannot be a folder's name ({fault}). "
                "Type --format rded, whose folders are numbers, or give other names: infer import --classes FILE"
            )
        (folder / layout.folder(target, classes)).mkdir(parents=True)
    where = zip(finished.targets.tolist(), counted_by_class(finished).tolist(), strict=True)
    for (target, number), content in zip(where, encoded(images, jpeg_quality), strict=True):
        name = f"{layout.file(target, number)}{ending(jpeg_quality)}"
        (folder / layout.folder(target, classes) / name).write_bytes(content)


def _root(path: Path) -> Path:
    """The folder of the class folders, which is the subfolder ``syn_data`` in RDED's experiments."""
    return path / "syn_data" if (path / "syn_data").is_dir() else path


def _images(folder: Path, passed_over: Counter[str]) -> list[Path]:
    """Image files in the order of ImageFolder: by folder, then by name."""
    found = (Path(entry.path) for entry in image_files(folder, passed_over))
    return sorted(found, key=lambda path: (str(path.parent), path.name))


def _class_numbers(layout: Layout, root: Path, names: Sequence[str]) -> dict[str, int]:
    """The class of each folder. Raises UsageError where two folders have the same class."""
    numbers = {name: _class_number(layout, name, position) for position, name in enumerate(names)}
    folder_of: dict[int, str] = {}
    for name, number in numbers.items():
        if folder_of.setdefault(number, name) != name:
            raise UsageError(f"{root}: {folder_of[number]} and {name} are both the folder of class {number}")
    return numbers


def _class_number(layout: Layout, name: str, position: int) -> int:
    if layout.numbered is None:
        return position
    if match := layout.numbered.fullmatch(name):
        return int(match[1])
    raise UsageError(
        f"the folder {name!r} is not named like the others, {layout.folder(0, ())!r} for class 0: move it away"
    )


def _check_class_in_name(layout: Layout, file: Path, target: int) -> None:
    said = _CLASS_IN_NAME.match(file.name) if layout.numbered else None
    if said and int(said[1]) != target:
        raise UsageError(f"{file} lies in the folder of class {target}, but its name says class {int(said[1])}")
