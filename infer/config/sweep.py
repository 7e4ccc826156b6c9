"""Settings of sweeps."""

from dataclasses import dataclass, field

from infer.config.checks import require, require_at_least


@dataclass
class SweepConfig:
    """Settings of a sweep, which all its jobs share."""

    equal_steps: bool = False
    """Train the students of every job for as many updates as those of the job that needs the most."""
    zip: list[list[str]] = field(default_factory=list)
    """Groups of swept settings whose values are paired instead of combined: ``sweep.zip=[[M,K]]`` with
    ``M=1,2 K=9,7`` gives M=1 K=9 and M=2 K=7."""
    points: list[str] = field(default_factory=list)
    """Combinations of values to run: ``sweep.points=['M=1 K=9','M=4 K=2']``. Each is one job, or one for every value of
    the other swept settings."""
    exclude: list[str] = field(default_factory=list)
    """Combinations to leave out, as expressions over swept settings: ``sweep.exclude=['M>2 and ipc<5']``."""
    trials: int | None = None
    """Number of jobs of a search by Optuna for the highest ``val/top1`` within the swept values and intervals; null:
    no search, every combination is a job."""
    prune: bool = True
    """End a job of a search early where the best ``val/top1`` of its first student is, after a test, below the median
    of what the earlier jobs had at that epoch."""
    resume: str | None = None
    """Folder of a search to continue, with the same command line; ``trials`` then counts the jobs of both parts."""
    student_steps: int | None = None
    """Number of updates of every student; set by ``equal_steps``."""
    retry: int = 0
    """Number of times that a failed job is started again; it continues from the artefacts in the store. On SLURM it is
    queued again, together with the unfinished jobs of its element, also where it was killed. Elsewhere it is repeated
    in the same process, where an error of the GPU itself may occur every time."""
    stop_on_failure: int | None = None
    """Number of failed jobs after which jobs that have not started are skipped; null: all jobs run."""

    @property
    def shaping(self) -> list[str]:
        """The settings given here that select combinations of values, which a search excludes."""
        return [f"sweep.{name}" for name in ("zip", "points", "exclude") if getattr(self, name)]

    def __post_init__(self) -> None:
        require_at_least(0, "sweep.retry", self.retry)
        require_at_least(1, "sweep.trials", self.trials)
        require(
            self.resume is None or bool(self.resume.strip()),
            "sweep.resume",
            repr(self.resume),
            "it names no sweep; perhaps a variable is not set. Type the folder of the search, or leave it out",
        )
        require(
            self.resume is None or self.trials is not None,
            "sweep.resume",
            self.resume,
            "only a search is resumed: type sweep.trials; any other sweep goes on where the same command is typed",
        )
        require_at_least(1, "sweep.stop_on_failure", self.stop_on_failure)
        require_at_least(1, "sweep.student_steps", self.student_steps)
