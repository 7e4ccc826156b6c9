"""Experiment tracking: off unless ``tracker=wandb``, offline unless ``tracker.mode=online``, never a login prompt."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infer.config import Config, as_plain
from infer.config.tracker import WandbMode, WandbTracker
from infer.errors import UsageError
from infer.evaluation.comparison import Evaluation
from infer.records.sweeps import read_sweep


class Tracker:
    """Tracks nothing."""

    def log_result(self, result: dict[str, Any], evaluations: list[Evaluation]) -> None:
        """Receive a run's record and its trained students."""


class _Wandb(Tracker):
    def __init__(self, run: Any, folder: Path) -> None:
        self._run, self._folder = run, folder

    def log_result(self, result: dict[str, Any], evaluations: list[Evaluation]) -> None:
        import wandb

        self._run.summary.update({key: value["mean"] for key, value in result["metrics"].items()})
        self._run.summary.update({f"storage/{key}": value for key, value in result["storage"].items()})
        if result["per_student"]:
            for arch, students in evaluations[0].students.items():
                for student in students:
                    self._log_history(f"{arch}/{student.repeat}", student.history())
        pictures = self._folder.glob("*.png")
        self._run.log({picture.stem: wandb.Image(str(picture)) for picture in pictures})

    def _log_history(self, name: str, history: list[dict[str, float]]) -> None:
        """One curve per score over the student's own steps."""
        self._run.define_metric(f"{name}/*", step_metric=f"{name}/step")
        for row in history:
            self._run.log({f"{name}/{key}": value for key, value in row.items()})


@contextlib.contextmanager
def tracking(config: Config, folder: Path) -> Iterator[Tracker]:
    """The tracker that the settings ask for, closed at the end."""
    if not isinstance(config.tracker, WandbTracker):
        yield Tracker()
        return
    with _start_wandb(config.tracker, as_plain(config), folder) as run:
        yield _Wandb(run, folder)


def _start_wandb(settings: WandbTracker, config: dict[str, Any], folder: Path) -> Any:
    import wandb

    if settings.mode is WandbMode.online and not wandb.api.api_key:
        raise UsageError(
            "tracker.mode=online needs a Weights & Biases key and there is none in WANDB_API_KEY or ~/.netrc. "
            "Type `wandb login` once, or stay offline: tracker.mode=offline"
        )
    return wandb.init(
        mode=settings.mode.value,
        project=settings.project,
        entity=settings.entity,
        dir=folder,
        name=folder.name,
        group=folder.parent.name if read_sweep(folder.parent) else None,
        config=config,
        settings=wandb.Settings(silent=True),
    )
