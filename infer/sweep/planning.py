"""What a sweep is going to make, counted before its first job: every artefact once, however many jobs share it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infer.config import Config
from infer.console import Console
from infer.pipeline import by_stage, plan_trials, prepare
from infer.workload import Workload


@dataclass(frozen=True)
class SweepPlan:
    """The work of all jobs together."""

    workload: Workload
    student_steps: int
    """Updates of the students of the job that has most."""


def plan_sweep(configs: Sequence[Config], compares: bool) -> SweepPlan:
    """Count what the jobs of ``configs`` rest on; ``compares`` as in ``SweepRecord``."""
    workload, most_steps = Workload(), 0
    for config in configs:
        context = prepare(config, Path(config.outputs), Console(brief=True), [])
        trials = plan_trials(context, in_sweep=compares)
        most_steps = max(most_steps, trials[0].num_steps)
        workload.add(context, by_stage(trials))
    return SweepPlan(workload, most_steps)
