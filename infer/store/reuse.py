"""The store under ``outputs/``: reuses an artefact or makes it, under a lock, and commits it by one rename.

A plain store, after weighing two libraries. joblib.Memory (1.6) pickles what a call returns under a hash of its
arguments, and two processes that ask at once both compute it. exca (0.6) gives its folders readable names, but its
tasks are pickled jobs, of which several may start at once, and its maps, whose items are claimed in an SQLite file,
keep tensors as memory maps behind an index; neither has checksums, and SLURM alone tells it that a worker on another
machine has died. Here an artefact is a folder of safetensors and JSON that anyone can open, it is checked when it is
read, and its maker holds a lock that dies with it.
"""

import contextlib
import errno
import logging
import os
import time
from collections.abc import Callable, Set
from pathlib import Path
from typing import Any

from infer.errors import RunError, UsageError
from infer.ranks import ranks
from infer.records.artefacts import DamagedArtefact, read_verified_record
from infer.records.names import RECORD, SET_ASIDE
from infer.store.artefact import Artefact
from infer.store.lock import locked
from infer.store.making import Making

log = logging.getLogger(__name__)
_LOOK_EVERY_S = 0.5


class MissingArtefact(UsageError):
    """An artefact is absent or damaged."""

    def __init__(self, artefact: Artefact, folder: Path, damage: DamagedArtefact | None = None) -> None:
        absent = f"{artefact.stage.value} has not been run for {artefact.name}: looked for {folder}"
        super().__init__(f"{folder} is damaged: {damage}" if damage else absent)
        self.artefact = artefact
        self.damage = damage


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
            Making(artefact, self.folder(artefact)).discard_record()  # complete, but before this order
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

    def _lock(self, artefact: Artefact, wait: bool = True) -> contextlib.AbstractContextManager[None]:
        return locked(self.root, artefact, wait, self.says_waiting)

    def _make(self, artefact: Artefact) -> None:
        making = Making(artefact, self.folder(artefact))
        try:
            if not making.is_complete:
                making.fill(self._describe_maker, artefact.signature in self.known_to_ranks)
            making.commit()
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                making.clear()
                raise RunError(
                    f"no space left on the disk of {self.root} while making {artefact.name}. "
                    "Free some space, or give another folder: outputs=<folder>"
                ) from error
            raise
