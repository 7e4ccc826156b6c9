"""The store under ``outputs/``: reuses an artefact or makes it, under a lock, and commits it by one rename.

A plain store, after weighing two libraries. joblib.Memory (1.6) pickles what a call returns under a hash of its
arguments, and two processes that ask at once both compute it. exca (0.6) gives its folders readable names, but its
tasks are pickled jobs, of which several may start at once, and its maps, whose items are claimed in an SQLite file,
keep tensors as memory maps behind an index; neither has checksums, and SLURM alone tells it that a worker on another
machine has died. Here an artefact is a folder of safetensors and JSON that anyone can open, it is checked when it is
read, and its maker holds a lock that dies with it.

The locks are ``flock``: on a shared file system it has to hold across machines (NFS with its lock service, Lustre
mounted with ``flock``).
"""

import contextlib
import errno
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Set
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from infer.errors import RunError, UsageError
from infer.files import listing, write_sealed
from infer.ranks import ranks
from infer.records.artefacts import DamagedArtefact, is_whole, read_verified_record
from infer.records.names import LOCKS, MAKING, RECORD, SET_ASIDE
from infer.store.artefact import Artefact, Sharing, Workspace
from infer.store.files import flush_to_disk

log = logging.getLogger(__name__)
SCRATCH = "scratch"
_LOOK_EVERY_S = 0.5
_LOCKS_DO_NOT_WORK = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EIO)


class MissingArtefact(UsageError):
    """An artefact is absent or damaged."""

    def __init__(self, artefact: Artefact, folder: Path, damage: DamagedArtefact | None = None) -> None:
        absent = f"{artefact.stage.value} has not been run for {artefact.name}: looked for {folder}"
        super().__init__(f"{folder} is damaged: {damage}" if damage else absent)
        self.artefact = artefact
        self.damage = damage


class BusyArtefact(Exception):
    """Another process is making the artefact at this moment."""


class Store:
    """The artefacts under one root; several processes may use it at the same time."""

    def __init__(self, root: Path, describe_maker: Callable[[], dict[str, Any]] = dict) -> None:
        """``describe_maker`` returns a record's entries on the execution: device, threads, versions, commit, order."""
        self.root = root
        self.says_waiting = True
        """False where it is processes of the same run that are waited for."""
        self._describe_maker = describe_maker
        self._verified: dict[str, dict[str, Any]] = {}
        self.known_to_ranks: Set[str] = frozenset()
        """Signatures of the artefacts that other ranks can make together with this one."""

    def folder(self, artefact: Artefact) -> Path:
        """The folder of ``artefact``, existing or not."""
        return self.root / artefact.kind / artefact.folder_name

    def exists(self, artefact: Artefact) -> bool:
        """True if ``artefact`` has been committed; its content is verified only when it is read."""
        return (self.folder(artefact) / RECORD).is_file()

    def record(self, artefact: Artefact) -> dict[str, Any]:
        """The record of an artefact that is committed and whole; raises MissingArtefact otherwise."""
        if artefact.signature not in self._verified:
            folder = self.folder(artefact)
            if not folder.exists():
                raise MissingArtefact(artefact, folder)
            try:
                self._verified[artefact.signature] = read_verified_record(folder, artefact.signature)
            except DamagedArtefact as damage:
                raise MissingArtefact(artefact, folder, damage) from None
        return self._verified[artefact.signature]

    def obtain(self, artefact: Artefact, may_make: bool = True, wait: bool = True) -> tuple[dict[str, Any], bool]:
        """The record of ``artefact``, and True if this call made it.

        A damaged one is reported, set aside and made again. Raises MissingArtefact when it is absent or damaged and
        ``may_make`` is false; BusyArtefact when another process is making it and ``wait`` is false. A rank that works
        together with others waits until rank 0 has seen to it.
        """
        if ranks.follows:
            return self._awaited(artefact), False
        try:
            return self.record(artefact), False
        except MissingArtefact:
            if not may_make:
                raise
        with self._lock(artefact, wait):
            try:
                return self.record(artefact), False  # made by another process while this one waited
            except MissingArtefact as missing:
                if missing.damage:
                    log.warning("%s: it is set aside and made again", missing)
                    self._set_aside(artefact)
                self._make(artefact)
                return self.record(artefact), True

    def _awaited(self, artefact: Artefact) -> dict[str, Any]:
        """The record of ``artefact`` as soon as it is there and whole: disks of other machines show it late."""
        while True:
            try:
                return self.record(artefact)
            except MissingArtefact:
                time.sleep(_LOOK_EVERY_S)

    def set_aside(self, artefact: Artefact, but_not_of: str) -> None:
        """Move an artefact out of the way, keeping it, so that the next ``obtain`` makes it again.

        One that was made under the order ``but_not_of`` stays: of several processes that are told to make it again,
        only the first does. Times would not tell, since clocks of two machines differ.
        """
        if ranks.follows:
            return
        with self._lock(artefact), contextlib.suppress(MissingArtefact):
            (self._making_folder(artefact) / RECORD).unlink(missing_ok=True)  # finished, but before this order
            self._verified.pop(artefact.signature, None)  # another process may have made it again meanwhile
            if self.record(artefact).get("order") != but_not_of:
                self._set_aside(artefact)

    def _set_aside(self, artefact: Artefact) -> None:
        self._verified.pop(artefact.signature, None)
        folder = self.folder(artefact)
        if folder.exists():
            aside = self.root / artefact.kind / SET_ASIDE
            aside.mkdir(parents=True, exist_ok=True)
            os.rename(folder, aside / f"{folder.name}-{time.time_ns()}")

    @contextlib.contextmanager
    def _lock(self, artefact: Artefact, wait: bool = True) -> Iterator[None]:
        """Hold a lock that the operating system releases when its holder dies."""
        locks = self.root / LOCKS
        locks.mkdir(parents=True, exist_ok=True)
        lock = FileLock(locks / f"{artefact.signature[:16]}.lock", fallback_to_soft=False)
        try:
            self._acquire(lock, artefact, wait)
        except (OSError, NotImplementedError) as error:
            if isinstance(error, OSError) and error.errno not in _LOCKS_DO_NOT_WORK:
                raise
            raise UsageError(
                f"files cannot be locked on the disk of {self.root} ({error}), which keeps two processes from making "
                "the same. Mount it with locks (NFS: its lock service; Lustre: -o flock), or give another folder: "
                "outputs=<folder>"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def _acquire(self, lock: FileLock, artefact: Artefact, wait: bool) -> None:
        """Acquire ``lock``; raises BusyArtefact where another process has it and ``wait`` is false."""
        try:
            lock.acquire(timeout=1 if wait else 0)
        except Timeout:
            if not wait:
                raise BusyArtefact(artefact.name) from None
            if self.says_waiting:
                log.info("waiting for another process that is making %s", artefact.name)
            lock.acquire()

    def _make(self, artefact: Artefact) -> None:
        making = self._making_folder(artefact)
        try:
            if not is_whole(making, artefact.signature):  # else its maker was killed just before the commit
                self._fill(making, artefact)
            self._commit(making, artefact)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                _empty_but_for_scratch(making)
                raise RunError(
                    f"no space left on the disk of {self.root} while making {artefact.name}. "
                    "Free some space, or give another folder: outputs=<folder>"
                ) from error
            raise

    def _making_folder(self, artefact: Artefact) -> Path:
        return self.root / artefact.kind / f"{MAKING}{artefact.folder_name}"

    def _fill(self, making: Path, artefact: Artefact) -> None:
        """Make ``artefact`` in the folder ``making``; its record comes last."""
        _empty_but_for_scratch(making)
        goes_on = any((making / SCRATCH).iterdir())
        started = time.monotonic()
        facts = self._made(artefact, Workspace(folder=making, scratch=making / SCRATCH))
        seconds = time.monotonic() - started
        record = self._new_record(artefact, making, facts, seconds)
        if not goes_on and (ranks.world == 1 or artefact.sharing is not Sharing.together):  # else time is missing
            record["work"] = {"kind": artefact.work.kind, "units": artefact.work.units, "seconds": seconds}
        write_sealed(making / RECORD, record)  # scores stand in it and nowhere else

    def _made(self, artefact: Artefact, workspace: Workspace) -> dict[str, Any]:
        """Facts of ``artefact``, made with all ranks where that is its way and they do nothing else."""
        all_take_part = artefact.sharing is Sharing.together and artefact.signature in self.known_to_ranks
        if not all_take_part or ranks.count > 1:
            with ranks.together(False):
                return artefact.make(workspace)
        ranks.tell(artefact.signature)
        with ranks.together():
            return artefact.make(workspace)

    def _new_record(self, artefact: Artefact, folder: Path, facts: dict[str, Any], seconds: float) -> dict[str, Any]:
        files = listing(path for path in folder.iterdir() if path.name != SCRATCH)
        return {
            "status": "done",
            "signature": artefact.signature,
            "name": artefact.name,
            **artefact.identity,
            "facts": facts,
            "files": files,
            "bytes": sum(file["bytes"] for file in files.values()),
            "seconds": round(seconds, 3),
            "made_at": datetime.now(UTC).isoformat(),
            **self._describe_maker(),
        }

    def _commit(self, making: Path, artefact: Artefact) -> None:
        """Give the finished folder its name, all of it on the disk before."""
        folder = self.folder(artefact)
        shutil.rmtree(making / SCRATCH, ignore_errors=True)  # may be gone: a maker was killed after this line
        for path in making.iterdir():
            flush_to_disk(path)
        flush_to_disk(making)
        try:
            os.rename(making, folder)
        except OSError:
            if not is_whole(folder, artefact.signature):
                raise
            shutil.rmtree(making, ignore_errors=True)  # locks do not hold here: another process was faster
        flush_to_disk(folder.parent)


def _empty_but_for_scratch(making: Path) -> None:
    """Clear what an interrupted maker left, except for what it can go on from."""
    (making / SCRATCH).mkdir(parents=True, exist_ok=True)
    for path in making.iterdir():
        if path.name == SCRATCH:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
