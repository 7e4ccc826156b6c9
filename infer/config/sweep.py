"""Settings of a sweep as a whole."""

from dataclasses import dataclass, field

from infer.config.checks import require, require_at_least


@dataclass
class SweepConfig:
    """Settings shared by the jobs of one sweep."""

    equal_steps: bool = False
    """Give the students of every job as many updates as those of the job that has most."""
    zip: list[list[str]] = field(default_factory=list)
    """Swept settings that take their values together: ``sweep.zip=[[M,K]]`` makes pairs of ``M=1,2 K=9,7``."""
    points: list[str] = field(default_factory=list)
    """Combinations of values, each a job, or several where others are swept: ``sweep.points=['M=1 K=9','M=4 K=2']``."""
    exclude: list[str] = field(default_factory=list)
    """Combinations to leave out, as expressions over swept settings: ``sweep.exclude=['M>2 and ipc<5']``."""
    trials: int | None = None
    """Jobs of a search for the highest ``val/top1`` among the swept values and intervals; null: every combination is a
    job."""
    prune: bool = True
    """End a job of a search whose leading student is, after one of its tests, below the median of the jobs before."""
    resume: str | None = None
    """Folder of a search to go on with, by the same words and as many ``trials`` in all."""
    student_steps: int | None = None
    """The number of updates of every student; set by ``equal_steps``."""
    retry: int = 0
    """Times that a job which failed is started again, to go on from what is in the store. On SLURM it is queued again,
    also when it was killed, with those jobs of its element that are not done; elsewhere it stays in its process, where
    an error of the GPU itself may come back every time."""
    stop_on_failure: int | None = None
    """Number of failed jobs after which those that have not started are skipped; null: all jobs run."""

    @property
    def shaping(self) -> list[str]:
        """Settings given here that decide which combinations of values are jobs, beside a search."""
        return [f"sweep.{name}" for name in ("zip", "points", "exclude") if getattr(self, name)]

    def __post_init__(self) -> None:
        require_at_least(0, "sweep.retry", self.retry)
        require_at_least(1, "sweep.trials", self.trials)
        require(
            self.resume is None or bool(self.resume.strip()),
            "sweep.resume",
            repr(self.resume),
            "it names no sweep, perhaps the variable is not set. Type the folder of the search, or leave it out",
        )
        require(
            self.resume is None or self.trials is not None,
            "sweep.resume",
            self.resume,
            "only a search is resumed: type sweep.trials; any other sweep goes on where the same command is typed",
        )
        require_at_least(1, "sweep.stop_on_failure", self.stop_on_failure)
        require_at_least(1, "sweep.student_steps", self.student_steps)
