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
    """Metrics, curves and pictures go to Weights & Biases as well."""

    name: str = "wandb"
    mode: WandbMode = WandbMode.offline
    project: str = "infer"
    entity: str | None = None
