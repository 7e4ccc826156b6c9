"""Trash: folders that ``infer gc`` and ``infer rm`` have moved away, and that are deleted later."""

import errno
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from infer.errors import RunError
from infer.records.names import TRASH

_TIME = "%Y%m%d-%H%M%S"
_DAY_S = 24 * 3600


def set_aside(folder: Path, outputs: Path, now: datetime) -> Path:
    """Move ``folder`` into the trash of ``outputs``, with its path below ``outputs``, and return its new place.

    A folder on another disk that is linked into ``outputs`` is moved into a trash on that disk, since folders are
    renamed and never copied.
    """
    below = Path(os.path.abspath(folder)).relative_to(os.path.abspath(outputs))
    roots = [(outputs, below), (outputs / below.parts[0], below.relative_to(below.parts[0]))]
    for root, path in roots:
        place = _free_place(root / TRASH, now, path)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            return _moved(folder, place)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise RunError(f"{folder} cannot be set aside in {place.parent}: {error.strerror}") from error
            _remove_empty(place.parent, root)
    raise RunError(f"{folder} lies on another disk than {roots[-1][0]}: it is left there. Move it away yourself")


def _moved(folder: Path, place: Path) -> Path:
    """Move ``folder`` to ``place``. A link still has its target afterwards, which is not moved."""
    if not folder.is_symlink() or (target := folder.readlink()).is_absolute():
        return folder.rename(place)
    place.symlink_to(folder.parent.absolute() / target)
    folder.unlink()
    return place


def _free_place(trash: Path, now: datetime, path: Path) -> Path:
    """The place for ``path`` in a folder named after ``now``, or after the first later second in which it is free."""
    while os.path.lexists(place := trash / now.strftime(_TIME) / path):
        now += timedelta(seconds=1)
    return place


def trash_folders(outputs: Path) -> Iterator[tuple[Path, Path]]:
    """Folders of the trash, one per time at which something was moved there, each with the root of the paths in it."""
    for root in (outputs, *sorted(path for path in outputs.iterdir() if path.is_dir() and path.name != TRASH)):
        trash = root / TRASH
        for folder in sorted(trash.iterdir()) if trash.is_dir() else []:
            if _time_of(folder) is not None:
                yield folder, root


def is_due(trashed: Path, grace_days: float, now: datetime) -> bool:
    """True if the folder ``trashed`` of the trash is at least ``grace_days`` old."""
    since = _time_of(trashed)
    return since is not None and (now - since).total_seconds() >= grace_days * _DAY_S


def put_back(folder: Path, trashed: Path, root: Path) -> bool:
    """Move ``folder`` from the folder ``trashed`` of the trash back to its place; False where that is occupied."""
    place = root / folder.relative_to(trashed)
    if os.path.lexists(place):
        return False
    place.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(place)
    return True


def delete(trashed: Path) -> None:
    """Delete the folder ``trashed`` of the trash; links are deleted without their targets."""
    if trashed.is_symlink() or not trashed.is_dir():
        trashed.unlink()
    else:
        shutil.rmtree(trashed)
    _remove_empty(trashed.parent, trashed.parent.parent)


def _time_of(trashed: Path) -> datetime | None:
    try:
        return datetime.strptime(trashed.name, _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None


def _remove_empty(folder: Path, below: Path) -> None:
    """Remove ``folder`` and the folders above it, below the folder ``below``, as long as they are empty."""
    while folder != below:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent
