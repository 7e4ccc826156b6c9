"""Settings of experiment tracking, which is off unless asked for."""

from dataclasses import dataclass
from enum import Enum


class WandbMode(str, Enum):
    """``offline`` writes into the run's folder (``wandb sync`` uploads it later) and never asks for a login."""

    offline = "offline"
    online = "online"


@dataclass
class TrackerConfig:
    """No tracker: files only."""

    name: str = "none"


@dataclass
class WandbTracker(TrackerConfig):
    """Settings, scores, curves, pictures and the distilled set go to Weights & Biases as well."""

    name: str = "wandb"
    mode: WandbMode = WandbMode.offline
    project: str = "infer"
    entity: str | None = None


@dataclass
class TensorBoardTracker(TrackerConfig):
    """Settings, scores, curves and pictures go into event files in the run's folder as well."""

    name: str = "tensorboard"
