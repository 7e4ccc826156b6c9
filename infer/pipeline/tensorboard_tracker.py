"""Tracker for TensorBoard: event files in the run's subfolder ``tensorboard``."""

import importlib.util
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from infer.config.tracker import TrackerConfig
from infer.errors import UsageError
from infer.pipeline.tracker import TrackedRun, Tracker
from infer.records.settings import flatten
from infer.tables import is_number, shown


class TensorBoard(Tracker):
    """Writer of scalars, pictures and hyper-parameters; a resumed run adds a file to the same folder."""

    def __init__(self, settings: TrackerConfig, run: TrackedRun) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(run.folder / "tensorboard"))
        self._config = run.config

    @classmethod
    def check(cls, settings: TrackerConfig) -> None:
        """Raise UsageError where the package is not installed."""
        if importlib.util.find_spec("tensorboard") is None:
            raise UsageError(
                "tracker=tensorboard needs the package tensorboard, which is not installed. "
                'Type: pip install "infer-distillation[tensorboard]"'
            )

    def log_curves(self, name: str, step: str, rows: Sequence[Mapping[str, float]]) -> None:
        for row in rows:
            for key in row.keys() - {step}:
                self._writer.add_scalar(f"{name}/{key}", row[key], int(row[step]))
        self._writer.flush()  # curves are not tracked again, even if this process is killed now

    def log_scores(self, scores: Mapping[str, float]) -> None:
        settings = {key: _as_parameter(value) for key, value in flatten(self._config).items()}
        self._writer.add_hparams(settings, dict(scores), run_name=".")  # the same folder, not one named by the time

    def log_pictures(self, pictures: Sequence[Path]) -> None:
        for picture in pictures:
            with Image.open(picture) as image:
                self._writer.add_image(picture.stem, np.asarray(image.convert("RGB")), dataformats="HWC")

    def log_set(self, name: str, folder: Path, facts: Mapping[str, Any], lineage: Mapping[str, Sequence[str]]) -> None:
        told = json.dumps({"name": name, "folder": str(folder), **facts, "lineage": lineage}, indent=1)
        self._writer.add_text("distilled", f"```json\n{told}\n```")

    def close(self, succeeded: bool) -> None:
        self._writer.close()


def _as_parameter(value: Any) -> bool | float | str:
    return value if isinstance(value, bool) or is_number(value) else shown(value)
