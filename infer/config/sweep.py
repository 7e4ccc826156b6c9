"""Settings of a sweep as a whole."""

from dataclasses import dataclass

from infer.config.checks import require_at_least


@dataclass
class SweepConfig:
    """What the jobs of one sweep have in common."""

    equal_steps: bool = False
    """Give the students of every job as many updates as those of the job that has most."""
    student_steps: int | None = None
    """That number; ``equal_steps`` fills it in."""

    def __post_init__(self) -> None:
        require_at_least(1, "sweep.student_steps", self.student_steps)
