"""What a sweep is going to make, counted before its first job: every artefact once, however many jobs share it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infer.config import Config, Stage
from infer.console import Console
from infer.pipeline import by_stage, plan_trials, prepare
from infer.store import Artefact


@dataclass(frozen=True)
class SweepPlan:
    """The work of all jobs together."""

    units: dict[Stage, int]
    """Different artefacts that the jobs rest on."""
    there: dict[Stage, int]
    """Those of them that need not be made."""
    student_steps: int
    """Updates of the students of the job that has most."""

    @property
    def rows(self) -> list[list[str]]:
        """A table: stage, units, there, to make."""
        counts = [(stage.value, units, self.there[stage]) for stage, units in self.units.items()]
        return [[name, str(units), str(there), str(units - there)] for name, units, there in counts]


def plan_sweep(configs: Sequence[Config], compares: bool) -> SweepPlan:
    """Count what the jobs of ``configs`` rest on; ``compares`` as in ``SweepRecord``."""
    artefacts: dict[str, Artefact] = {}
    there: set[str] = set()
    most_steps = 0
    for config in configs:
        context = prepare(config, Path(config.outputs), Console(brief=True), [])
        trials = plan_trials(context, in_sweep=compares)
        most_steps = max(most_steps, trials[0].num_steps)
        for stage, planned in by_stage(trials).items():
            artefacts |= {artefact.signature: artefact for artefact in planned}
            kept = stage not in context.forced
            there |= {artefact.signature for artefact in planned if kept and context.store.exists(artefact)}
    of_stage = {stage: {s for s, artefact in artefacts.items() if artefact.stage is stage} for stage in Stage}
    count = {stage: signatures for stage, signatures in of_stage.items() if signatures}
    return SweepPlan(
        units={stage: len(signatures) for stage, signatures in count.items()},
        there={stage: len(there.intersection(signatures)) for stage, signatures in count.items()},
        student_steps=most_steps,
    )
