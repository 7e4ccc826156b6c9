"""Class folders and the image files in them, for trees of data sets and of imported sets.

Hidden files and folders (``.ipynb_checkpoints``, ``._x.jpg``) are skipped, and so are files whose extension is not one
of torchvision's for images. Other things that cannot be images are refused before they are opened: pipes, devices,
broken links, links to a folder above, and folders that cannot be read.
"""

import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from torchvision.datasets.folder import IMG_EXTENSIONS

from infer.errors import UsageError
from infer.words import visible

_LONGEST_CLASS_NAME = 255
"""Largest number of bytes of a class name, since it is the name of a folder."""
_SHOWN_CHARACTERS = 60
"""Number of characters of a class name that messages show."""


def class_folders(parent: Path) -> list[str]:
    """Sorted names of the class folders in ``parent``; empty where ``parent`` does not exist.

    Raises UsageError as ``require_class_names`` does, and where a folder cannot be read.
    """
    if not parent.is_dir():
        return []
    names = sorted(entry.name for entry in visible_entries(parent) if _is_folder(entry))
    require_class_names(names, parent)
    return names


def image_files(folder: Path, passed_over: Counter[str]) -> Iterator[os.DirEntry[str]]:
    """The images in ``folder`` and the folders below it.

    Files with other extensions are counted by extension in ``passed_over``. Raises UsageError for an image that is not
    a regular file, for a folder that cannot be read, and for a link to a folder above it.
    """
    for entry in _walk(folder, frozenset()):
        ending = os.path.splitext(entry.name)[1].lower()
        if ending in IMG_EXTENSIONS:
            status_of(entry)
            yield entry
        else:
            passed_over[visible(ending) or "no ending"] += 1


def status_of(entry: os.DirEntry[str]) -> os.stat_result:
    """Status of a regular file. Raises UsageError where ``entry`` is not a regular file, or is a broken link."""
    try:
        status = entry.stat()
    except OSError as error:
        raise _unreadable(entry.path, error) from error
    if not stat.S_ISREG(status.st_mode):
        raise UsageError(f"{entry.path} is a pipe, a device or a socket, not a file: replace it or remove it")
    return status


def note_of(passed_over: Counter[str]) -> list[str]:
    """Remark with the number of files that are not images, by extension; empty where there are none."""
    if not passed_over:
        return []
    endings = ", ".join(f"{count} {ending}" for ending, count in sorted(passed_over.items()))
    return [f"files without the ending of an image were ignored: {endings}"]


def require_class_names(names: Sequence[object], source: object) -> None:
    """Raise UsageError unless ``names`` are UTF-8 strings that are not blank, not too long, and distinct.

    Names that differ in their Unicode form only count as equal: an accented letter can be one character (NFC) or two
    (NFD), which look the same on a screen.
    """
    forms: dict[str, int] = {}
    for number, name in enumerate(names):
        if fault := _fault_of_class_name(name):
            shown = visible(str(name)[:_SHOWN_CHARACTERS])
            raise UsageError(f"{source}: class {number} is called '{shown}', and {fault}. Give it another name")
        form = unicodedata.normalize("NFC", str(name))
        if form in forms:
            how = "" if names[forms[form]] == name else ", which differ in their Unicode form only (NFC and NFD)"
            raise UsageError(
                f"{source}: classes {forms[form]} and {number} are both called '{visible(form)}'{how}. Rename one, or "
                "merge them"
            )
        forms[form] = number


def visible_entries(folder: Path | str) -> list[os.DirEntry[str]]:
    """The entries of ``folder`` that are not hidden, sorted by name. Raises UsageError where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        raise _unreadable(folder, error) from error


def _walk(folder: Path | str, above: frozenset[tuple[int, int]]) -> Iterator[os.DirEntry[str]]:
    try:
        place = os.stat(folder)
    except OSError as error:
        raise _unreadable(folder, error) from error
    here = place.st_dev, place.st_ino
    if here in above:
        raise UsageError(f"{folder} is a link to a folder that it lies in: remove it")
    for entry in visible_entries(folder):
        if _is_folder(entry):
            yield from _walk(entry.path, above | {here})
        else:
            yield entry


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:  # a link to itself
        raise _unreadable(entry.path, error) from error


def _fault_of_class_name(name: object) -> str | None:
    if not isinstance(name, str):
        return "that is not text"
    if not name.strip():
        return "that is empty"
    if any("\ud800" <= character <= "\udfff" for character in name):
        return "that is not UTF-8"
    if len(name.encode()) > _LONGEST_CLASS_NAME:
        return f"that is longer than {_LONGEST_CLASS_NAME} bytes"
    return None


def _unreadable(path: Path | str, error: OSError) -> UsageError:
    return UsageError(f"{path} cannot be read ({error.strerror}): replace it or remove it")
