"""``sweep.json``: plan of a sweep, written before its first job starts, so that no job is forgotten if it is killed."""

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
    """A job in the plan of a sweep."""

    number: int
    folder: str
    """Name of its folder in that of the sweep: the number and the swept settings, for example ``3-M=2,K=1``."""
    overrides: list[str]
    """Command-line words of the job."""


@dataclass(frozen=True)
class SweepRecord:
    """Jobs of a sweep, and the settings that vary between them."""

    swept: dict[str, list[str]]
    """Values as typed of the settings and groups that have several; empty for a sweep of one job."""
    jobs: list[PlannedJob]
    cluster: str = "local"
    """The option of the config group ``cluster``."""
    words: list[str] = field(default_factory=lambda: sys.argv[1:])
    """The command line after ``launch.py``."""
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat())

    snapshot: bool = False
    """True if jobs run from a copy of settings and code in the folder of the sweep."""
    ended: str | None = None
    """Time since which no job can run any more; None while jobs may run, or if waiting for them was interrupted."""
    removed: list[str] = field(default_factory=list)
    """Folders of jobs that ``infer rm`` has moved to the trash."""

    @property
    def compares(self) -> bool:
        """True if the jobs differ in more than the setting ``worker``."""
        return bool(self.swept.keys() - {"worker"})

    def write_ended(self, folder: Path) -> None:
        """Record in the sweep's folder that all jobs have ended; a job without an end in its record then is lost."""
        replace(self, ended=datetime.now(UTC).isoformat()).write(folder)

    def write_removed(self, folder: Path, job: str) -> None:
        """Record in the sweep's folder that the job in the folder ``job`` was removed, so that it is not lost."""
        replace(self, removed=sorted({*self.removed, job})).write(folder)

    def write(self, folder: Path) -> None:
        """Write the record into the sweep's folder."""
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
        raise UsageError(f"{path} cannot be read: {error}. Restore it, or remove it: its jobs remain") from error
