"""The whole configuration of a run: the top-level keys, and the checks that need more than one group."""

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from omegaconf import MISSING

from infer.config.checks import require, require_at_least, require_distinct, require_name, require_positive
from infer.config.cluster import ClusterConfig
from infer.config.evaluate import EvaluateConfig, StudentConfig
from infer.config.labeling import LabelingConfig, LabelMode
from infer.config.method import MethodConfig
from infer.config.scale import ScaleConfig
from infer.config.sweep import SweepConfig
from infer.config.teachers import TeachersConfig
from infer.config.tracker import TrackerConfig

AUTO = "auto"


class Stage(str, Enum):
    """The pipeline's verbs, in order."""

    squeeze = "squeeze"
    generate = "generate"
    relabel = "relabel"
    evaluate = "evaluate"
    report = "report"


class Baseline(str, Enum):
    """Comparisons of a distilled set: real images at equal bytes, or the whole training data."""

    random_hard = "random_hard"
    random_static = "random_static"
    random_dynamic = "random_dynamic"
    random_fkd = "random_fkd"
    full = "full"


class BaselineBudget(str, Enum):
    """Sizes at which random images stand beside a distilled set."""

    bytes = "bytes"
    """The bytes of the set, labels included; an image's labels are a part of its cost."""
    ipc = "ipc"
    """Nominal budget, ``ipc`` images per class, as papers count: labels are free, and a compensator that all C classes
    share is charged as 1/C image of each."""
    images = "images"
    """The number of images that a student of the set sees, composed ones counted."""


class AnalysisName(str, Enum):
    """Analyses of a distilled set, beside the accuracy of its students."""

    similarity = "similarity"
    interpolation = "interpolation"
    boundary = "boundary"
    conflict = "conflict"
    dominance = "dominance"


class Precision(str, Enum):
    """Arithmetic of training teachers and students.

    auto is bf16 on a GPU that has it. On a CPU with bf16 instructions it is bf16 for the networks that train faster in
    it (``infer.models.bf16``), but fp32 for teachers of a published recipe; on any other CPU it is fp32. For students
    it is what the protocol says, where it says something.
    """

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"


@dataclass
class Config:
    """Everything that a run is told."""

    dataset: Any = MISSING
    teachers: TeachersConfig = MISSING
    method: MethodConfig = MISSING
    labeling: LabelingConfig = MISSING
    student: StudentConfig = MISSING
    evaluate: EvaluateConfig = MISSING
    tracker: TrackerConfig = MISSING
    cluster: ClusterConfig = MISSING
    sweep: SweepConfig = field(default_factory=SweepConfig)
    scale: ScaleConfig = field(default_factory=ScaleConfig)
    ipc: int = 10
    """Storage budget in images per class."""
    M: int | None = None
    """Number of architectures of the ensemble that are used, from the front of its list; null: all."""
    K: int | None = None
    """Natural subsets, one real image per class each; null: as many as the budget of ``ipc`` pays for."""
    seed: int = 0
    stages: list[Stage] = field(default_factory=lambda: list(Stage))
    force: list[Stage] = field(default_factory=list)
    """Stages to redo, and all after them, although their results are there."""
    baselines: list[Baseline] | None = None
    """Comparisons of the set; null: random images with the same labels (unless these were made elsewhere) and
    with hard ones, and all of the data, but nothing in a sweep."""
    baseline_budgets: list[BaselineBudget] = field(default_factory=lambda: [BaselineBudget.bytes])
    """Sizes of the random baselines; each beside ``bytes`` is recorded as ``<baseline>@<budget>``."""
    analyses: list[AnalysisName] = field(default_factory=list)
    """Analyses of the distilled set, made in the stage report; ``infer analyse`` makes them later. With
    ``boundary`` the weights of the first student are kept."""
    device: str = "auto"
    precision: Precision = Precision.auto
    """One that is named here counts for students, too, whatever the protocol says."""
    processes: Any = AUTO
    """Processes of this machine that share the run's work, artefact by artefact, this one counted: a number, or auto.
    auto: on the CPU, and for images so small that each computes with one thread, as many as there are threads (see
    OMP_NUM_THREADS); else one."""
    worker: int = 0
    """Number of a process that shares its work with others of the same settings: ``-m 'worker=range(8)'``."""
    checkpoint_minutes: float = 2.0
    """Minutes between two checkpoints of a training or an optimisation: what a killed run loses at most. A signal to
    end (SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2) has one written in any case."""
    outputs: str = "outputs"
    """Root of everything that a run writes."""
    dataset_roots: Any = field(default_factory=dict)  # Hydra cannot add keys to a typed dictionary
    """Places of data sets by ``dataset.name``, for conf/user/local.yaml: ``dataset_roots: {cifar10: ~/data/cifar10}``.
    ``dataset.root`` wins; imagenet's subsets lie where imagenet1k does, unless they are named."""

    def __post_init__(self) -> None:
        for key, named in (("dataset", self.dataset), ("method", self.method)):
            require_name(f"{key}.name", named.name)
        self._check_folders()
        self._check_numbers()
        self._check_choices()
        self._check_ensemble()

    def _check_folders(self) -> None:
        allowed = "give the folder that everything goes to, e.g. outputs=outputs"
        require(bool(self.outputs.strip()), "outputs", f"'{self.outputs}'", allowed)
        require(
            isinstance(self.dataset_roots, dict) and all(isinstance(root, str) for root in self.dataset_roots.values()),
            "dataset_roots",
            self.dataset_roots,
            "name a folder for each data set, e.g. dataset_roots: {cifar10: ~/data/cifar10}",
        )

    def _check_numbers(self) -> None:
        require_at_least(1, "ipc", self.ipc)
        require_at_least(1, "M", self.M)
        require_at_least(1, "K", self.K)
        require_at_least(0, "seed", self.seed)
        require_positive("checkpoint_minutes", self.checkpoint_minutes)
        require(
            self.processes == AUTO or (type(self.processes) is int and self.processes >= 1),
            "processes",
            self.processes,
            "give a number of processes, at least 1, or auto",
        )

    def _check_choices(self) -> None:
        require(bool(self.stages), "stages", "[]", f"name at least one of {', '.join(s.value for s in Stage)}")
        require(
            re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device) is not None,
            "device",
            self.device,
            "use auto, cpu, cuda or cuda:<number>",
        )
        require_distinct("baselines", self.baselines or [])
        require(bool(self.baseline_budgets), "baseline_budgets", "[]", "name bytes, ipc or images, or baselines=[]")
        require_distinct("baseline_budgets", self.baseline_budgets)
        require_distinct("analyses", self.analyses)

    def _check_ensemble(self) -> None:
        archs = self.teachers.archs
        require(
            self.M is None or self.M <= len(archs),
            "M",
            self.M,
            f"the ensemble has {len(archs)} architectures, teachers.archs=[{','.join(archs)}]; "
            f"use M=1..{len(archs)} or lengthen teachers.archs",
        )
        for arch in self.teachers.checkpoints_by_arch:
            require(
                arch in (*archs, *self.teachers_that_label),
                "teachers.checkpoints",
                f"{{{arch}: ...}}",
                f"no teacher is of that architecture; there are teachers.archs=[{','.join(archs)}]",
            )

    @property
    def seconds_between_checkpoints(self) -> float:
        """``checkpoint_minutes`` in seconds."""
        return 60 * self.checkpoint_minutes

    @property
    def ensemble(self) -> list[str]:
        """The first M architectures of the ensemble."""
        return self.teachers.archs[: self.M]

    @property
    def teachers_that_label(self) -> list[str]:
        """The architectures that make soft labels: the ensemble, unless ``labeling.teachers`` names others."""
        return self.labeling.teachers or self.ensemble

    def baselines_of(self, in_sweep: bool) -> list[Baseline]:
        """The baselines that are asked for."""
        if self.baselines is not None:
            return self.baselines
        by_teachers = [] if self.labeling.made_elsewhere else [Baseline(f"random_{self.labeling.mode.value}")]
        return [] if in_sweep else list(dict.fromkeys([*by_teachers, Baseline.random_hard, Baseline.full]))

    def protocol_for(self, arch: str | None = None) -> EvaluateConfig:
        """The protocol's settings for students of ``arch``, or for the first student."""
        return self.evaluate.for_student(arch or self.student.archs[0], self.ipc)

    def protocol_name_with(self, mode: LabelMode) -> str:
        """The protocol under labels of ``mode``: both are named where the protocol is made for another mode."""
        return self.evaluate.name_with(mode)
