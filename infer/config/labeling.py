"""Settings of the labels that distilled images carry."""

from dataclasses import dataclass
from enum import Enum

from omegaconf import MISSING

from infer.config.checks import require, require_at_least, require_distinct


class LabelMode(str, Enum):
    """Source of a student's targets."""

    hard = "hard"
    static = "static"
    dynamic = "dynamic"
    fkd = "fkd"

    def __str__(self) -> str:
        """Value of the member, which ``${labeling.mode}`` within a longer text becomes."""
        return self.value


class LabelSource(str, Enum):
    """Maker of soft labels: the run's teachers, or whoever made an imported set."""

    teachers = "teachers"
    set = "set"


@dataclass
class LabelingConfig:
    """The labels of the distilled images."""

    mode: LabelMode = MISSING
    teachers: list[str] | None = None
    """Architectures whose logits are averaged; null: those of the method, the first M of the ensemble."""
    source: LabelSource = LabelSource.teachers
    """For static and fkd. ``set``: the soft labels that came with the set that ``method=imported`` reads; no teacher is
    needed."""
    path: str | None = None
    """For fkd: a folder of labels that were made elsewhere, ``epoch_0/batch_0.tar``, ..., or one of this program's sets
    or runs; ``~`` and ``$VARIABLES`` are expanded. Students see the crops, flips and mixing that are stored there."""
    epochs_stored: int | None = None
    """For fkd: epochs for which draws and logits are stored, shown again from the first when they are through; null: as
    many as students are trained for. For labels made elsewhere: so many of their epochs are used."""
    topk: int | None = None
    """For fkd: the highest logits of each image that are stored, with their classes; their softmax sums to one and all
    other classes get zero (LPQLD). null: the logits of all classes."""

    def __post_init__(self) -> None:
        require_at_least(1, "labeling.epochs_stored", self.epochs_stored)
        require_at_least(1, "labeling.topk", self.topk)
        require(
            self.path is None or self.mode is LabelMode.fkd,
            "labeling.path",
            self.path,
            "it names a folder of FKD labels; type labeling=fkd as well",
        )
        require(
            not self.made_elsewhere or self.mode in (LabelMode.static, LabelMode.fkd),
            "labeling.source",
            self.source.value,
            f"labeling={self.mode.value} has no soft labels to take from a set; type labeling=static or labeling=fkd",
        )
        require(
            self.path is None or self.source is LabelSource.teachers,
            "labeling.source",
            self.source.value,
            "labeling.path names the labels already; leave one of the two out",
        )
        require(
            not self.made_elsewhere or self.topk is None,
            "labeling.topk",
            self.topk,
            "labels made elsewhere are used as they are; leave it out",
        )
        if self.teachers is not None:
            require(bool(self.teachers), "labeling.teachers", "[]", "name at least one architecture, or null")
            require_distinct("labeling.teachers", self.teachers)

    @property
    def made_elsewhere(self) -> bool:
        """True if the labels come with a set or from a folder, instead of from the run's teachers."""
        return self.path is not None or self.source is LabelSource.set
