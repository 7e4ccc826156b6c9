"""Making of an artefact: in a folder beside its own, which gets its name by one rename when it is complete."""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infer.files import listing, write_sealed
from infer.ranks import ranks
from infer.records.artefacts import is_whole
from infer.records.names import MAKING, RECORD
from infer.store.artefact import Artefact, Sharing, Workspace
from infer.store.files import flush_to_disk

SCRATCH = "scratch"


@dataclass(frozen=True)
class Making:
    """An artefact that is being made, by the process that holds the lock on it."""

    artefact: Artefact
    folder: Path
    """Folder of the finished artefact."""

    @property
    def is_complete(self) -> bool:
        """True if nothing but the commit is left to do: a maker was killed just before it."""
        return is_whole(self._unfinished, self.artefact.signature)

    def fill(self, describe_maker: Callable[[], dict[str, Any]], known_to_ranks: bool) -> None:
        """Make the artefact; its record comes last.

        ``describe_maker`` as in ``Store``. With ``known_to_ranks`` other ranks can make it together with this one.
        """
        self.clear()
        scratch = self._unfinished / SCRATCH
        goes_on = any(scratch.iterdir())
        started = time.monotonic()
        facts = _made(self.artefact, Workspace(folder=self._unfinished, scratch=scratch), known_to_ranks)
        seconds = time.monotonic() - started
        record = self._record(facts, seconds) | describe_maker()
        if not goes_on and (ranks.world == 1 or self.artefact.sharing is not Sharing.together):  # else time is missing
            work = self.artefact.work
            record["work"] = {"kind": work.kind, "units": work.units, "seconds": seconds}
        write_sealed(self._unfinished / RECORD, record)  # scores stand in it and nowhere else

    def commit(self) -> None:
        """Give the finished folder its name, all of it on the disk before."""
        shutil.rmtree(self._unfinished / SCRATCH, ignore_errors=True)  # may be gone: a maker was killed after this line
        for path in self._unfinished.iterdir():
            flush_to_disk(path)
        flush_to_disk(self._unfinished)
        try:
            os.rename(self._unfinished, self.folder)
        except OSError:
            if not is_whole(self.folder, self.artefact.signature):
                raise
            shutil.rmtree(self._unfinished, ignore_errors=True)  # locks do not hold here: another process was faster
        flush_to_disk(self.folder.parent)

    def clear(self) -> None:
        """Delete what an interrupted maker left, except for what it can go on from."""
        (self._unfinished / SCRATCH).mkdir(parents=True, exist_ok=True)
        for path in self._unfinished.iterdir():
            if path.name == SCRATCH:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def discard_record(self) -> None:
        """Delete the record that says it is complete, so that it is made again."""
        (self._unfinished / RECORD).unlink(missing_ok=True)

    @property
    def _unfinished(self) -> Path:
        return self.folder.with_name(f"{MAKING}{self.folder.name}")

    def _record(self, facts: dict[str, Any], seconds: float) -> dict[str, Any]:
        files = listing(path for path in self._unfinished.iterdir() if path.name != SCRATCH)
        return {
            "status": "done",
            "signature": self.artefact.signature,
            "name": self.artefact.name,
            **self.artefact.identity,
            "facts": facts,
            "files": files,
            "bytes": sum(file["bytes"] for file in files.values()),
            "seconds": round(seconds, 3),
            "made_at": datetime.now(UTC).isoformat(),
        }


def _made(artefact: Artefact, workspace: Workspace, known_to_ranks: bool) -> dict[str, Any]:
    """Facts of ``artefact``, made with all ranks where that is its way and they do nothing else."""
    all_take_part = artefact.sharing is Sharing.together and known_to_ranks
    if not all_take_part or ranks.count > 1:
        with ranks.together(False):
            return artefact.make(workspace)
    ranks.tell(artefact.signature)
    with ranks.together():
        return artefact.make(workspace)
