"""Pruning of the jobs of a search, by the validation accuracy of their first student during its training."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from infer.errors import InferError
from infer.records.names import STUDY

if TYPE_CHECKING:
    import optuna

    from infer.store import Artefact

OBJECTIVE = "val/top1"
"""The score that a search maximises: that of the first architecture, as the mean over its repeats."""
STUDY_NAME = "infer"
"""Name of the study in the file of a search."""
OnEpoch = Callable[["Artefact", dict[str, float]], None]


class Pruned(InferError):
    """A job of a search was ended because its score was below the median of the other jobs at the same epoch."""


def study_of(sweep_folder: Path) -> "optuna.Study":
    """The study of the search in ``sweep_folder``. Raises Optuna's errors where there is none."""
    import optuna

    storage = f"sqlite:///{(sweep_folder / STUDY).absolute()}"
    return optuna.load_study(
        study_name=STUDY_NAME, storage=storage, pruner=optuna.pruners.MedianPruner(n_startup_trials=4)
    )


def pruning(sweep_folder: Path, job: int, leading: "Artefact") -> OnEpoch:
    """A function that reports each test of ``leading`` on the validation split to the study, with its epoch.

    It raises Pruned where the job's best score so far is below the median of the other jobs' scores at that epoch.
    """
    import optuna

    study = study_of(sweep_folder)
    trial = optuna.trial.Trial(study, study.get_trials(deepcopy=False)[job]._trial_id)

    def on_epoch(network: "Artefact", row: dict[str, float]) -> None:
        if network.signature != leading.signature or OBJECTIVE not in row:
            return
        trial.report(row[OBJECTIVE], int(row["epoch"]))
        if trial.should_prune():
            raise Pruned(
                f"its {OBJECTIVE} of {row[OBJECTIVE]:.2f} after epoch {int(row['epoch'])} is below the median of the "
                "jobs before it (sweep.prune)"
            )

    return on_epoch
