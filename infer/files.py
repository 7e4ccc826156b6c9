"""Atomic writing of files, their checksums, and canonical JSON."""

import contextlib
import errno
import hashlib
import io
import json
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import IO, Any, Literal, overload

from infer.errors import UsageError

_SEAL = "sha256"
_LONGEST_PATH = 4096 - 512
"""Largest number of bytes of a folder's path, which leaves room for names of files; systems allow 4,096 bytes."""


@overload
def replaced_whole(path: Path, mode: Literal["wb"] = "wb") -> contextlib.AbstractContextManager[IO[bytes]]: ...
@overload
def replaced_whole(path: Path, mode: Literal["w"]) -> contextlib.AbstractContextManager[IO[str]]: ...
@contextlib.contextmanager
def replaced_whole(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Context with a temporary file that replaces ``path`` at the end, unless there is an error.

    Missing folders are created. Another process that reads ``path`` sees the complete old or new content.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(descriptor, mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # files of mkstemp are private, those of a shared store must not be
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def require_writable(folder: Path, key: str) -> None:
    """Create ``folder`` if it does not exist.

    Raises UsageError, with the setting ``key``, where the folder or a file in it cannot be created.
    """
    shown = f"{key}={folder if len(str(folder)) < 100 else f'{str(folder)[:60]}...'}"
    advice = f"Give a folder that you may write to: {key}=FOLDER"
    if len(os.fspath(folder.absolute()).encode()) > _LONGEST_PATH:
        raise UsageError(f"{shown} is too long for a path. {advice}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        is_file = error.errno in (errno.EEXIST, errno.ENOTDIR)
        reason = "a file is in its place" if is_file else error.strerror
        raise UsageError(f"{shown} cannot be written to ({reason}). {advice}") from error


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` as indented JSON."""
    with replaced_whole(path, "w") as file:
        json.dump(content, file, indent=1, ensure_ascii=False, allow_nan=False)
        file.write("\n")


def open_regular(path: Path) -> io.BufferedReader:
    """The file at ``path``, opened for reading.

    Raises OSError where it is not a regular file; reading a pipe, for example, would wait for its writer.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return open(descriptor, "rb")


def read_regular(path: Path) -> bytes:
    """The content of a file. Raises OSError as ``open_regular`` does."""
    with open_regular(path) as file:
        return file.read()


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises ValueError where it is not JSON, and OSError as ``open_regular`` does."""
    try:
        return json.loads(read_regular(path).decode())
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def canonical_json(content: Any) -> str:
    """Canonical JSON, the same text for the same content: sorted keys, no spaces, enums by value, no NaN."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_value)


def digest_of(content: Any) -> str:
    """Hex SHA-256 of the canonical JSON of ``content``."""
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()


def sha256(path: Path) -> str:
    """Hex SHA-256 of the bytes of a file."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_digest(files: Sequence[Path], root: Path) -> str:
    """Hex SHA-256 of the contents of ``files`` and of their paths relative to ``root``, independent of its location.

    Raises UsageError where a file is missing.
    """
    absent = next((file for file in files if not file.is_file()), None)
    if absent:
        raise UsageError(f"{absent} is missing: {root} is incomplete")
    listed = [[str(file.relative_to(root)) if file != root else "", sha256(file)] for file in files]
    return digest_of(listed)


def present_time(folder: Path) -> float:
    """Seconds since the epoch by the clock that sets the times of files in ``folder``: on a shared disk, the server's.

    It is read from a temporary file. Where none can be created, the clock of this machine is used.
    """
    with contextlib.suppress(OSError), tempfile.TemporaryFile(dir=folder) as probe:
        return os.fstat(probe.fileno()).st_mtime
    return time.time()


def walk_links(
    root: Path, enters: Callable[[str], bool], errors: list[OSError]
) -> Iterator[tuple[Path, list[str], list[str]]]:
    """All folders from ``root`` down, with the names of their folders and files, as ``os.walk`` that follows links.

    A folder is visited once, even if a link leads back to it. Only folders whose name ``enters`` accepts are listed and
    visited. Errors of folders that cannot be read are added to ``errors``.
    """
    seen = set()
    for parent, folders, files in os.walk(root, onerror=errors.append, followlinks=True):
        status = os.stat(parent)
        place = status.st_dev, status.st_ino
        folders[:] = sorted(name for name in folders if place not in seen and enters(name))
        if place not in seen:
            seen.add(place)
            yield Path(parent), folders, files


def listing(paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Checksum and size of every file by name, as in records and manifests."""
    return {path.name: {"sha256": sha256(path), "bytes": path.stat().st_size} for path in sorted(paths)}


def sealed(content: dict[str, Any]) -> dict[str, Any]:
    """``content`` with its own checksum under the key ``sha256``."""
    return content | {_SEAL: _checksum(content)}


def write_sealed(path: Path, content: dict[str, Any]) -> None:
    """Write ``content`` as JSON with its own checksum."""
    write_json(path, sealed(json.loads(json.dumps(content))))  # the checksum is that of the content as it will be read


def is_sealed(content: dict[str, Any]) -> bool:
    """True if ``content`` has its checksum and was not changed since ``sealed`` returned it."""
    try:
        return content.get(_SEAL) == _checksum(content)
    except ValueError:  # NaN, which this program never writes
        return False


def has_broken_seal(content: dict[str, Any]) -> bool:
    """True if ``content`` has a checksum that is wrong. Files of versions that wrote no checksums have none."""
    return has_seal(content) and not is_sealed(content)


def without_seal(content: dict[str, Any]) -> dict[str, Any]:
    """``content`` without its checksum."""
    return {key: value for key, value in content.items() if key != _SEAL}


def has_seal(content: dict[str, Any]) -> bool:
    """True if ``content`` has a checksum, right or wrong."""
    return _SEAL in content


def _checksum(content: dict[str, Any]) -> str:
    """SHA-256 of the canonical JSON of ``content`` without its checksum."""
    return digest_of(without_seal(content))


def state_of(status: os.stat_result) -> list[int]:
    """Size, times of change and inode of a file. They change with its content, even if its time is set back."""
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _value(content: Any) -> Any:
    if isinstance(content, Enum):
        return content.value
    raise TypeError(f"{content!r} cannot be written as JSON")
