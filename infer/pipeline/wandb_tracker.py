"""Tracker for Weights & Biases: offline unless ``tracker.mode=online``, and without a login prompt."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from infer.config.tracker import TrackerConfig, WandbMode, WandbTracker
from infer.errors import UsageError
from infer.files import digest_of
from infer.pipeline.tracker import TrackedRun, Tracker

_LONGEST_ID, _LONGEST_NAME = 64, 128


class Wandb(Tracker):
    """A run of wandb, whose id is derived from the run's name, so that a resumed run continues the same one."""

    def __init__(self, settings: TrackerConfig, run: TrackedRun) -> None:
        import wandb  # takes seconds

        assert isinstance(settings, WandbTracker)
        self._run = wandb.init(
            mode=settings.mode.value,
            project=settings.project,
            entity=settings.entity,
            dir=run.folder,
            name=run.name.rpartition("/")[2],
            id=_id_of(run.name),
            resume="allow",
            group=run.group,
            config=dict(run.config),
            settings=wandb.Settings(silent=True),
        )

    @classmethod
    def check(cls, settings: TrackerConfig) -> None:
        """Raise UsageError where the run is to be uploaded and there is no API key."""
        assert isinstance(settings, WandbTracker)
        if settings.mode is not WandbMode.online:
            return
        import wandb

        if not wandb.api.api_key:
            raise UsageError(
                "tracker.mode=online needs a Weights & Biases key and there is none in WANDB_API_KEY or ~/.netrc. "
                "Type `wandb login` once, or stay offline: tracker.mode=offline"
            )

    def log_curves(self, name: str, step: str, rows: Sequence[Mapping[str, float]]) -> None:
        self._run.define_metric(f"{name}/*", step_metric=f"{name}/{step}")
        for row in rows:
            self._run.log({f"{name}/{key}": value for key, value in row.items()})

    def log_scores(self, scores: Mapping[str, float]) -> None:
        self._run.summary.update(dict(scores))

    def log_pictures(self, pictures: Sequence[Path]) -> None:
        import wandb

        self._run.log({picture.stem: wandb.Image(str(picture)) for picture in pictures})

    def log_set(self, name: str, folder: Path, facts: Mapping[str, Any], lineage: Mapping[str, Sequence[str]]) -> None:
        """Log an artefact of type ``dataset``, with the lineage in its metadata.

        The lineage cannot be given as used artefacts, which do not work offline.
        """
        import wandb

        metadata = {**facts, "lineage": {kind: list(artefacts) for kind, artefacts in lineage.items()}}
        artefact = wandb.Artifact(_plain(name)[:_LONGEST_NAME], type="dataset", metadata=metadata)
        for file in sorted(folder.iterdir()):
            artefact.add_file(str(file), skip_cache=True, policy="immutable")  # otherwise wandb copies it into ~
        self._run.log_artifact(artefact)

    def close(self, succeeded: bool) -> None:
        self._run.finish(exit_code=0 if succeeded else 1)


def _id_of(name: str) -> str:
    """``name`` with only the characters that are allowed in an id; the middle of a long one becomes a digest."""
    plain = _plain(name)
    if len(plain) <= _LONGEST_ID and plain == name:
        return plain
    digest = digest_of(name)[:8]
    return f"{plain[: _LONGEST_ID - len(digest) - 1]}-{digest}"


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name, flags=re.ASCII)
