"""Artefacts that a sweep will make, counted before its first job. An artefact that several jobs share counts once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from infer.config import Config, Precision
from infer.config.cluster import SlurmCluster
from infer.console import Console
from infer.context import Context
from infer.pipeline.announcement import EMULATED_BF16
from infer.pipeline.inventory import COLUMNS, Inventory
from infer.pipeline.plan import by_stage, plan_evaluations
from infer.pipeline.prepare import prepare

_PRECISION_UNKNOWN = (
    "how many of them exist cannot be counted on this machine: with precision=auto a job computes in bf16 where "
    "its GPU or processor has it, else in fp32, and finds what was made in the same. To have them counted, type "
    "precision=bf16 or precision=fp32"
)


@dataclass(frozen=True)
class SweepPlan:
    """Work of all jobs of a sweep."""

    inventory: Inventory
    student_steps: int
    """Largest number of student updates of a job."""
    precision_known: bool
    """True if this machine knows the precision in which jobs compute, on which the artefacts that they find depend."""
    emulates_bf16: bool
    """True if jobs compute in bf16 on this machine, whose processor has no instructions for it."""

    def announce(self, console: Console) -> None:
        """Print the number of artefacts to make and, if it is known, the number that exist."""
        rows = self.inventory.rows
        if self.precision_known:
            console.table(COLUMNS, rows)
        else:
            console.table(COLUMNS[:2], [row[:2] for row in rows])
            console.say(_PRECISION_UNKNOWN)
        if self.emulates_bf16:
            console.say(EMULATED_BF16)


def plan_sweep(configs: Sequence[Config], compares: bool) -> SweepPlan:
    """Count the artefacts that the jobs of ``configs`` need; ``compares`` is as in ``SweepRecord``."""
    inventory, most_steps, precision_known, emulates_bf16 = Inventory(), 0, True, False
    for config in configs:
        context = prepare(config, Path(config.outputs), Console(brief=True), [], _stand_in(config))
        evaluations = plan_evaluations(context, in_sweep=compares)
        most_steps = max(most_steps, evaluations[0].num_steps)
        inventory.add(context, by_stage(evaluations))
        precision_known = precision_known and _is_precision_known(context)
        emulates_bf16 = emulates_bf16 or (_stand_in(config) is None and context.emulates_bf16)
    return SweepPlan(inventory, most_steps, precision_known, emulates_bf16)


def _stand_in(config: Config) -> torch.device | None:
    """The CPU, in place of a device that only other machines may have; None where jobs run on this machine."""
    return torch.device("cpu") if isinstance(config.cluster, SlurmCluster) else None


def _is_precision_known(context: Context) -> bool:
    """True unless the choice of fp32 or bf16 depends on a GPU or the processor of another machine."""
    config = context.config
    if config.precision is not Precision.auto or not isinstance(config.cluster, SlurmCluster):
        return True
    if config.device == "cpu" or (config.device == "auto" and config.cluster.gpus == 0):
        with_bf16, without = (replace(context, precision=each) for each in ("by_network", "fp32"))
        return with_bf16.precisions == without.precisions
    return False
