"""The store under ``outputs/``: finds an artefact or makes it, under a lock, and commits it by one rename.

A plain store instead of exca or joblib.Memory: both pickle what they keep, name it by a hash alone, and hide it from a
reader's eye; here a folder holds safetensors and JSON that anyone can open, and another process can wait for it.
"""

import contextlib
import errno
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from infer.errors import RunError, UsageError
from infer.files import read_json, write_json
from infer.store.artefact import Artefact, Workspace
from infer.store.files import flush_to_disk, sha256

log = logging.getLogger(__name__)
RECORD = "record.json"
SCRATCH = "scratch"


class MissingArtefact(UsageError):
    """An artefact that an earlier stage has to make is not there, and that stage was not asked for."""

    def __init__(self, artefact: Artefact, folder: Path) -> None:
        super().__init__(f"{artefact.stage.value} has not been run for {artefact.name}: looked for {folder}")
        self.artefact = artefact


class Store:
    """The artefacts under one root; several processes may use it at the same time."""

    def __init__(self, root: Path, describe_maker: Callable[[], dict[str, Any]] = dict) -> None:
        """``describe_maker`` gives what a record says about who made it: device, threads, versions, commit."""
        self.root = root
        self._describe_maker = describe_maker
        self._verified: dict[str, dict[str, Any]] = {}

    def folder(self, artefact: Artefact) -> Path:
        """Where ``artefact`` is or will be."""
        return self.root / artefact.kind / artefact.folder_name

    def exists(self, artefact: Artefact) -> bool:
        """Whether ``artefact`` has been committed; its content is verified only when it is read."""
        return (self.folder(artefact) / RECORD).is_file()

    def record(self, artefact: Artefact) -> dict[str, Any]:
        """The record of an artefact that is there and whole; raises MissingArtefact otherwise."""
        if artefact.signature not in self._verified:
            folder = self.folder(artefact)
            if not folder.exists() or _fault(folder, artefact.signature):
                raise MissingArtefact(artefact, folder)
            self._verified[artefact.signature] = read_json(folder / RECORD)
        return self._verified[artefact.signature]

    def obtain(self, artefact: Artefact, may_make: bool = True) -> tuple[dict[str, Any], bool]:
        """The record of ``artefact`` and whether it had to be made for this call.

        A damaged one is named, set aside and made again. Raises MissingArtefact when it is not there, or damaged, and
        ``may_make`` is false.
        """
        try:
            return self.record(artefact), False
        except MissingArtefact:
            if not may_make:
                raise
        with self._lock(artefact):
            try:
                return self.record(artefact), False  # made by another process while this one waited
            except MissingArtefact:
                self._set_damaged_aside(artefact)
                self._make(artefact)
        return self.record(artefact), True

    def set_aside(self, artefact: Artefact) -> None:
        """Move an artefact out of the way, keeping it, so that the next ``obtain`` makes it again."""
        with self._lock(artefact):
            self._set_aside(artefact)

    def _set_damaged_aside(self, artefact: Artefact) -> None:
        folder = self.folder(artefact)
        if folder.exists():
            fault = _fault(folder, artefact.signature)
            log.warning("%s is damaged (%s): set aside, it is made again", folder, fault)
            self._set_aside(artefact)

    def _set_aside(self, artefact: Artefact) -> None:
        self._verified.pop(artefact.signature, None)
        folder = self.folder(artefact)
        if folder.exists():
            aside = self.root / artefact.kind / ".set-aside"
            aside.mkdir(parents=True, exist_ok=True)
            os.rename(folder, aside / f"{folder.name}-{time.time_ns()}")

    @contextlib.contextmanager
    def _lock(self, artefact: Artefact) -> Iterator[None]:
        """Hold a lock that the operating system releases when its holder dies."""
        locks = self.root / ".locks"
        locks.mkdir(parents=True, exist_ok=True)
        lock = FileLock(locks / f"{artefact.signature[:16]}.lock")
        try:
            lock.acquire(timeout=1)
        except Timeout:
            log.info("waiting for another process that is making %s", artefact.name)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _make(self, artefact: Artefact) -> None:
        making = self.root / artefact.kind / f".making-{artefact.folder_name}"
        _empty_but_for_scratch(making)
        started = time.monotonic()
        try:
            facts = artefact.make(Workspace(folder=making, scratch=making / SCRATCH))
            shutil.rmtree(making / SCRATCH)
            write_json(making / RECORD, self._new_record(artefact, making, facts, time.monotonic() - started))
            self._commit(making, self.folder(artefact))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                _empty_but_for_scratch(making)
                raise RunError(
                    f"no space left on the disk of {self.root} while making {artefact.name}. "
                    "Free some space, or give another folder: outputs=<folder>"
                ) from error
            raise

    def _new_record(self, artefact: Artefact, folder: Path, facts: dict[str, Any], seconds: float) -> dict[str, Any]:
        files = {path.name: {"sha256": sha256(path), "bytes": path.stat().st_size} for path in sorted(folder.iterdir())}
        return {
            "status": "done",
            "signature": artefact.signature,
            "name": artefact.name,
            **artefact.identity,
            "facts": facts,
            "files": files,
            "bytes": sum(file["bytes"] for file in files.values()),
            "seconds": round(seconds, 3),
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            **self._describe_maker(),
        }

    @staticmethod
    def _commit(making: Path, folder: Path) -> None:
        for path in making.iterdir():
            flush_to_disk(path)
        flush_to_disk(making)
        os.rename(making, folder)
        flush_to_disk(folder.parent)


def _empty_but_for_scratch(making: Path) -> None:
    """Clear what an interrupted maker left, except for what it can go on from."""
    (making / SCRATCH).mkdir(parents=True, exist_ok=True)
    for path in making.iterdir():
        if path.name != SCRATCH:
            path.unlink()


def _fault(folder: Path, signature: str) -> str | None:
    """What is wrong with a committed artefact, None if nothing is."""
    try:
        record = read_json(folder / RECORD)
        if record["signature"] != signature:
            return f"its {RECORD} carries another signature"
        for name, expected in record["files"].items():
            if not (folder / name).is_file():
                return f"{name} is missing"
            if sha256(folder / name) != expected["sha256"]:
                return f"{name} is not what was written"
    except FileNotFoundError:
        return f"{RECORD} is missing"
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # not OSError: a failing disk is no damage
        return f"{RECORD} does not hold a record: {type(error).__name__}"
    return None
