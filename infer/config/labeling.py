"""Settings of the labels that distilled images carry."""

from dataclasses import dataclass
from enum import Enum

from omegaconf import MISSING

from infer.config.checks import require, require_at_least, require_distinct


class LabelMode(str, Enum):
    """Where a student's targets come from."""

    hard = "hard"
    static = "static"
    dynamic = "dynamic"
    fkd = "fkd"


@dataclass
class LabelingConfig:
    """The labels of the distilled images."""

    mode: LabelMode = MISSING
    teachers: list[str] | None = None
    """Architectures whose logits are averaged; null: those of the method, the first M of the ensemble."""
    epochs_stored: int | None = None
    """Of fkd: epochs for which draws and logits are stored, shown again from the first when they are through; null: as
    many as students are trained for."""
    topk: int | None = None
    """Of fkd: the highest logits of each image that are stored, with their classes; their softmax sums to one and all
    other classes get zero (LPQLD). null: the logits of all classes."""

    def __post_init__(self) -> None:
        require_at_least(1, "labeling.epochs_stored", self.epochs_stored)
        require_at_least(1, "labeling.topk", self.topk)
        if self.teachers is not None:
            require(bool(self.teachers), "labeling.teachers", "[]", "name at least one architecture, or null")
            require_distinct("labeling.teachers", self.teachers)
