"""Sets of other programs in files of ``torch.save``, with images as float32 in normalised units.

========= ==================================================================== =====================================
ddranking ``images.pt``, ``labels.pt``, ``lr.pt``                              DD-Ranking
mtt       ``images_best.pt``, ``labels_best.pt``, ``lr_best.pt``               MTT, DATM and their followers
dc        one file, a dictionary whose ``data[-1]`` is (images, labels)        DC, DSA, DM, DC-BENCH
          or a list (images, labels) itself
initial   ``tensor_{k}.pt``: one image per class, row c is of class c          UFC's and DWA's initial images
========= ==================================================================== =====================================

Labels are classes [N] or [N, 1], or soft labels, float [N, C]. With soft labels or without labels, images are in the
order of classes, as these programs assume.
"""

import math
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from infer.errors import UsageError
from infer.formats.foreign_set import ForeignSet, as_classes, class_major_targets, counted_by_class
from infer.torch_load import load_foreign, require_plain

DDRANKING, MTT = "", "_best"
"""Suffix of ``images``, ``labels`` and ``lr`` in the names of the files."""
_SHOWN_CHARACTERS = 40
"""Number of characters of a value that messages show."""
_INITIAL = re.compile(r"tensor_(\d+)\.pt")


def recognises_triple(suffix: str, path: Path) -> bool:
    """True if the folder ``path`` contains a file of images with this ``suffix``."""
    return (path / f"images{suffix}.pt").is_file()


def triple_files(suffix: str, path: Path) -> list[Path]:
    """The existing files among images, labels and learning rate."""
    files = (path / f"{name}{suffix}.pt" for name in ("images", "labels", "lr"))
    return [file for file in files if file.is_file()]


def read_triple(suffix: str, path: Path, num_classes: int | None) -> ForeignSet:
    """The set in the files of DD-Ranking or MTT."""
    parts = {file.stem.removesuffix(suffix): load_foreign(file) for file in triple_files(suffix, path)}
    return _labelled(parts["images"], parts.get("labels"), num_classes, path, _learning_rate(parts.get("lr"), path))


def write_triple(suffix: str, folder: Path, images: Tensor, finished: ForeignSet) -> None:
    """Write normalised ``images`` float32 in the order of classes, with soft labels or, without these, classes.

    The learning rate is written if it is known.
    """
    order = finished.targets.argsort(stable=True)
    labels = finished.targets if finished.soft_labels is None else finished.soft_labels.float()
    torch.save(images[order].clone(), folder / f"images{suffix}.pt")
    torch.save(labels[order].clone(), folder / f"labels{suffix}.pt")
    if finished.student_lr is not None:
        torch.save(torch.tensor(finished.student_lr), folder / f"lr{suffix}.pt")


def recognises_dc(path: Path) -> bool:
    """True if ``path`` is a file with a usual extension of torch.save."""
    return path.is_file() and path.suffix in (".pt", ".pth")


def read_dc(path: Path, num_classes: int | None) -> ForeignSet:
    """The last of the sets in a file of DC, DSA or DM, or the set of a file that contains only images and labels."""
    content = load_foreign(path)
    pairs = content.get("data") if isinstance(content, dict) else [content]
    pair = pairs[-1] if isinstance(pairs, list | tuple) and pairs else None
    if not isinstance(pair, list | tuple) or len(pair) < 2:
        raise UsageError(
            f"{path} is not a set in DC's format, a dictionary whose data[-1] is (images, labels), or (images, labels)"
        )
    images, labels = pair[:2]
    return _labelled(images, labels, num_classes, path)


def write_dc(file: Path, images: Tensor, finished: ForeignSet) -> None:
    """Write normalised ``images`` float32 and classes, in the order of the set."""
    torch.save({"data": [[images, finished.targets]], "accs_all_exps": {}}, file)


def recognises_initial(path: Path) -> bool:
    """True if the folder ``path`` contains ``tensor_0.pt``."""
    return (path / "tensor_0.pt").is_file()


def initial_files(path: Path) -> list[Path]:
    """The files ``tensor_0.pt``, ``tensor_1.pt``, ... by number. Raises UsageError where one is missing."""
    numbered = {int(match[1]): file for file in path.iterdir() if (match := _INITIAL.fullmatch(file.name))}
    absent = set(range(len(numbered))) - numbered.keys()
    if absent:
        raise UsageError(f"{path} has tensor_{max(numbered)}.pt but no tensor_{min(absent)}.pt")
    return [numbered[k] for k in sorted(numbered)]


def read_initial(path: Path, num_classes: int | None) -> ForeignSet:
    """The set of the images of all files in order."""
    subsets = [_images(load_foreign(file), file) for file in initial_files(path)]
    if len({subset.shape for subset in subsets}) > 1:
        raise UsageError(f"the files tensor_<k>.pt in {path} differ in shape: {[list(s.shape) for s in subsets]}")
    targets = torch.arange(len(subsets[0])).repeat(len(subsets))
    return ForeignSet(torch.cat(subsets), targets).require_square(path)


def write_initial(folder: Path, images: Tensor, finished: ForeignSet, num_classes: int) -> None:
    """Write normalised ``images`` float32. Raises UsageError unless all classes have the same number of images."""
    counts = torch.bincount(finished.targets, minlength=num_classes)
    if counts.min() != counts.max():
        raise UsageError(
            f"a file tensor_<k>.pt holds one image of every class, and this set has {counts.min()} to {counts.max()} "
            "images of a class. Choose another format"
        )
    numbers = counted_by_class(finished)
    for k in range(int(counts[0])):
        rows = (numbers == k).nonzero().flatten()
        torch.save(images[rows[finished.targets[rows].argsort()]].clone(), folder / f"tensor_{k}.pt")


def _labelled(
    images: Any, labels: Any, num_classes: int | None, source: Path, student_lr: float | None = None
) -> ForeignSet:
    images = _images(images, source)
    soft_labels: Tensor | None = None
    notes: tuple[str, ...] = ()
    if labels is None:
        targets = class_major_targets(len(images), num_classes, source)
    else:
        labels = require_plain(labels, "its labels are", source)
        if labels.is_floating_point() and labels.dim() == 2 and labels.shape[1] > 1:
            soft_labels = labels
            targets, notes = _classes_of(soft_labels)
        else:
            targets = as_classes(labels, source)
    return ForeignSet(images, targets, None, soft_labels, student_lr, notes).require_square(source)


def _images(images: Any, source: Path) -> Tensor:
    """``images`` as uint8 or float32. Raises UsageError for other integers, whose value of white is not known."""
    found = require_plain(images, "its images are", source)
    if found.dtype != torch.uint8 and not found.is_floating_point():
        given = str(found.dtype).removeprefix("torch.")
        raise UsageError(f"{source} holds images of type {given}: they are bytes (uint8) or normalised floats")
    return found if found.dtype == torch.uint8 else found.float()


def _learning_rate(lr: Any, source: Path) -> float | None:
    """The student's learning rate as a number; None where there is none. Raises UsageError for an impossible value."""
    if lr is None:
        return None
    value = lr.item() if isinstance(lr, Tensor) and lr.numel() == 1 and not lr.is_meta else lr
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        given = f"a tensor {list(value.shape)}" if isinstance(value, Tensor) else repr(value)[:_SHOWN_CHARACTERS]
        raise UsageError(f"{source} holds an impossible learning rate ({given}): it must be one number above 0")
    return float(value)


def _classes_of(soft_labels: Tensor) -> tuple[Tensor, tuple[str, ...]]:
    """The classes of images with soft labels, and remarks on them.

    Classes follow from the positions of images or, where the numbers do not fit, from the maxima of the labels.
    """
    count, num_classes = soft_labels.shape
    peaks = soft_labels.argmax(dim=1)
    if count % num_classes:
        return peaks, ("the images cannot stand class by class: each is of the class at which its soft label peaks",)
    places = torch.arange(num_classes).repeat_interleave(count // num_classes)
    if differing := int((places != peaks).sum()):
        note = f"{differing} of {count} soft labels peak at another class than that of the image's place"
        return places, (note + (", so the images may not stand class by class" if 2 * differing > count else ""),)
    return places, ()
