"""Folders that were set aside: what ``infer gc`` and ``infer rm`` take away waits there before it is deleted."""

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
    """Move ``folder`` into the trash of ``outputs``, under the path that it had, and return its new place.

    A folder on a disk that is linked into ``outputs`` goes into a trash on that disk: it is renamed, never copied.
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
    """``folder`` in its new ``place``; a link leads from there to where it led, and what is behind it stays."""
    if not folder.is_symlink() or (target := folder.readlink()).is_absolute():
        return folder.rename(place)
    place.symlink_to(folder.parent.absolute() / target)
    folder.unlink()
    return place


def _free_place(trash: Path, now: datetime, path: Path) -> Path:
    """The place for ``path`` in a folder of ``now``, or of the first second after it in which that is free."""
    while os.path.lexists(place := trash / now.strftime(_TIME) / path):
        now += timedelta(seconds=1)
    return place


def trash_folders(outputs: Path) -> Iterator[tuple[Path, Path]]:
    """Everything that was set aside at one time: its folder, and the root that its paths are below."""
    for root in (outputs, *sorted(path for path in outputs.iterdir() if path.is_dir() and path.name != TRASH)):
        trash = root / TRASH
        for folder in sorted(trash.iterdir()) if trash.is_dir() else []:
            if _time_of(folder) is not None:
                yield folder, root


def is_due(trashed: Path, grace_days: float, now: datetime) -> bool:
    """True if what was set aside has waited for ``grace_days``."""
    since = _time_of(trashed)
    return since is not None and (now - since).total_seconds() >= grace_days * _DAY_S


def put_back(folder: Path, trashed: Path, root: Path) -> bool:
    """Move ``folder`` back to where it was before it was set aside in ``trashed``; False where that place is taken."""
    place = root / folder.relative_to(trashed)
    if os.path.lexists(place):
        return False
    place.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(place)
    return True


def delete(trashed: Path) -> None:
    """Delete what was set aside at one time; of links in it nothing but the links."""
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
    """Remove ``folder`` and those above it, up to ``below``, as far as they are empty."""
    while folder != below:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent
