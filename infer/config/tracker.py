"""Settings of experiment tracking, which is off by default."""

from dataclasses import dataclass
from enum import Enum


class WandbMode(str, Enum):
    """Mode of Weights & Biases."""

    offline = "offline"
    """Write into the run's folder, without a login; ``wandb sync`` uploads the files later."""
    online = "online"
    """Upload during the run."""


@dataclass
class TrackerConfig:
    """No tracker; results are only written to files."""

    name: str = "none"


@dataclass
class WandbTracker(TrackerConfig):
    """Weights & Biases, which also receives settings, scores, curves, pictures and the distilled set."""

    name: str = "wandb"
    mode: WandbMode = WandbMode.offline
    project: str = "infer"
    """Project of Weights & Biases."""
    entity: str | None = None
    """User or team of Weights & Biases; null: the account's default."""


@dataclass
class TensorBoardTracker(TrackerConfig):
    """TensorBoard, whose event files in the run's folder also receive settings, scores, curves and pictures."""

    name: str = "tensorboard"
