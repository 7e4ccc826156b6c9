"""``sweep.json``: what a sweep set out to do, there before its first job starts, so that no job can get lost."""

import sys
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infer.errors import UsageError
from infer.files import has_broken_seal, read_json, without_seal, write_sealed
from infer.records import shape
from infer.records.names import SWEEP


@dataclass(frozen=True)
class PlannedJob:
    """One job, as it was before it started."""

    number: int
    folder: str
    """Its folder's name inside the sweep's: the number and what varies, for example ``3-M=2,K=1``."""
    overrides: list[str]
    """The words that it adds up to."""


@dataclass(frozen=True)
class SweepRecord:
    """A sweep's jobs and what varies between them."""

    swept: dict[str, list[str]]
    """Values as they were typed, by setting or group, for those that have several; empty for a sweep of one job."""
    jobs: list[PlannedJob]
    cluster: str = "local"
    """The option of the config group ``cluster``."""
    words: list[str] = field(default_factory=lambda: sys.argv[1:])
    """The command line after ``launch.py``."""
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat())

    snapshot: bool = False
    """True if its jobs run from a copy of settings and code in its folder."""
    ended: str | None = None
    """Time from which no job of it could run any more; null while jobs may, or when their waiter was stopped."""
    removed: list[str] = field(default_factory=list)
    """Folders of jobs that ``infer rm`` has set aside."""

    @property
    def compares(self) -> bool:
        """True if the jobs differ in more than who does the work."""
        return bool(self.swept.keys() - {"worker"})

    def write_ended(self, folder: Path) -> None:
        """Note in the sweep's folder that all jobs have ended: what left no end in its record is lost."""
        replace(self, ended=datetime.now(UTC).isoformat()).write(folder)

    def write_removed(self, folder: Path, job: str) -> None:
        """Note in the sweep's folder that the job in the folder ``job`` was set aside: it is not lost."""
        replace(self, removed=sorted({*self.removed, job})).write(folder)

    def write(self, folder: Path) -> None:
        """Write it into the sweep's folder."""
        write_sealed(folder / SWEEP, asdict(self))


def read_sweep(folder: Path) -> SweepRecord | None:
    """The record of the sweep in ``folder``; None where there is none. Raises UsageError where it is damaged."""
    path = folder / SWEEP
    try:
        content: Any = read_json(path)
        if not isinstance(content, dict) or (faulty := shape.faulty_entries(content, shape.SWEEP)):
            raise ValueError(f"{', '.join(faulty) if isinstance(content, dict) else 'it'} is not what a sweep writes")
        if has_broken_seal(content):
            raise ValueError("it is not what was written")
        return SweepRecord(**without_seal(content) | {"jobs": [PlannedJob(**job) for job in content["jobs"]]})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{path} cannot be read: {error}. Restore it, or take it away: its jobs remain") from error
