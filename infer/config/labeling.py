"""Settings of the labels of distilled images."""

from dataclasses import dataclass
from enum import Enum

from omegaconf import MISSING

from infer.config.checks import require, require_at_least, require_distinct


class LabelMode(str, Enum):
    """Kind of the targets that students are trained with."""

    hard = "hard"
    static = "static"
    dynamic = "dynamic"
    fkd = "fkd"

    def __str__(self) -> str:
        """Value of the member, so that ``${labeling.mode}`` can be a part of a longer string."""
        return self.value


class LabelSource(str, Enum):
    """Source of soft labels: the run's teachers, or the files of an imported set."""

    teachers = "teachers"
    set = "set"


@dataclass
class LabelingConfig:
    """Settings of the labels of the distilled images."""

    mode: LabelMode = MISSING
    """Kind of the labels. ``hard``: the class of each image. ``static``: the teachers' mean logits on each un-augmented
    image, stored once. ``dynamic``: the teachers label every augmented and mixed batch during training. ``fkd``:
    dynamic labels that are stored before training, with the crops, flips and mixing of every batch."""
    teachers: list[str] | None = None
    """Architectures of the teachers whose logits are averaged; null: the first M of the ensemble, as for the method."""
    source: LabelSource = LabelSource.teachers
    """Source of static and fkd labels. ``teachers``: the run's teachers. ``set``: the soft labels that come with the
    set that ``method=imported`` reads; no teacher is needed."""
    path: str | None = None
    """Folder of fkd labels that were made elsewhere: files ``epoch_0/batch_0.tar``, ..., or a set or run of this
    framework; ``~`` and ``$VARIABLES`` are expanded. Students are trained with the crops, flips and mixing that are
    stored there. null: labels come from ``source``."""
    epochs_stored: int | None = None
    """Number of epochs for which fkd labels are stored. A longer training begins again with the first of them. null: as
    many epochs as students are trained for. Of labels that were made elsewhere, this many epochs are used."""
    topk: int | None = None
    """Number of logits per image that fkd labels store: the highest ones, with their classes. Their softmax sums to one
    and all other classes get zero (LPQLD). null: the logits of all classes."""

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
        """True if the labels are read from an imported set or a folder instead of made by the run's teachers."""
        return self.path is not None or self.source is LabelSource.set
