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
    """Stages of the pipeline, in order."""

    squeeze = "squeeze"
    generate = "generate"
    relabel = "relabel"
    evaluate = "evaluate"
    report = "report"


class Baseline(str, Enum):
    """Sets that a distilled set is compared with: random real images with the labels named, or all training data."""

    random_hard = "random_hard"
    random_static = "random_static"
    random_dynamic = "random_dynamic"
    random_fkd = "random_fkd"
    full = "full"


class BaselineBudget(str, Enum):
    """Sizes of the sets of random images that a distilled set is compared with."""

    bytes = "bytes"
    """The same number of bytes as the distilled set, labels included for both."""
    ipc = "ipc"
    """``ipc`` images per class, as papers count: labels are free, and a compensator that all C classes share costs 1/C
    of an image per class."""
    images = "images"
    """The number of images that a student sees of the distilled set, composed images included."""


class AnalysisName(str, Enum):
    """Analyses of a distilled set, in addition to the accuracy of its students."""

    similarity = "similarity"
    interpolation = "interpolation"
    boundary = "boundary"
    conflict = "conflict"
    dominance = "dominance"


class Precision(str, Enum):
    """Floating-point format in which teachers and students are trained.

    ``auto`` is bf16 on a GPU that supports it. On a CPU with bf16 instructions it is bf16 for the networks that train
    faster in it (``infer.models.bf16``), except teachers of a published recipe, which train in fp32. On any other CPU
    it is fp32. For students the protocol's ``evaluate.precision``, if set, replaces ``auto``.
    """

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"


@dataclass
class Config:
    """All settings of a run."""

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
    """Storage budget of the distilled set in images per class."""
    M: int | None = None
    """Number of teachers: the first M architectures of ``teachers.archs`` form the ensemble; null: all of them."""
    K: int | None = None
    """Number of natural subsets, each with one real image per class; null: as many as the budget ``ipc`` pays for."""
    seed: int = 0
    """Seed of all random numbers, at least 0."""
    stages: list[Stage] = field(default_factory=lambda: list(Stage))
    """Stages to run. Results of other stages must exist where a stage needs them."""
    force: list[Stage] = field(default_factory=list)
    """Stages to run again, together with all later ones, although their results exist."""
    baselines: list[Baseline] | None = None
    """Sets that the distilled set is compared with. null: random images with labels of the same kind (unless the labels
    were made elsewhere), random images with hard labels, and all training data; in a sweep, none."""
    baseline_budgets: list[BaselineBudget] = field(default_factory=lambda: [BaselineBudget.bytes])
    """Sizes of the random baselines. Baselines of other sizes than ``bytes`` are recorded as
    ``<baseline>@<budget>``."""
    analyses: list[AnalysisName] = field(default_factory=list)
    """Analyses of the distilled set that the stage ``report`` makes; ``infer analyse`` makes them later. With
    ``boundary``, the weights of the first student are kept."""
    device: str = "auto"
    """``cpu``, ``cuda``, ``cuda:<number>``, or ``auto``: a GPU if there is one."""
    precision: Precision = Precision.auto
    """Floating-point format of all trainings. Any value but ``auto`` also replaces the protocol's
    ``evaluate.precision``."""
    processes: Any = AUTO
    """Number of processes on this machine that share the run's artefacts, this one included. ``auto``: on the CPU, with
    images so small that each process computes with one thread, the number of threads (see OMP_NUM_THREADS); else 1."""
    worker: int = 0
    """Number of this process among several with the same settings, which share the work: ``-m 'worker=range(8)'``."""
    checkpoint_minutes: float = 2.0
    """Minutes between two checkpoints of a training or an optimisation, above 0; a run that is killed loses at most
    this time. A signal to end (SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2) also writes a checkpoint."""
    outputs: str = "outputs"
    """Root folder of everything that a run writes."""
    dataset_roots: Any = field(default_factory=dict)  # Hydra cannot add keys to a typed dictionary
    """Folders of the data sets by ``dataset.name``, for conf/user/local.yaml:
    ``dataset_roots: {cifar10: ~/data/cifar10}``. ``dataset.root`` takes precedence. Subsets of ImageNet use the folder
    of imagenet1k unless they have an entry of their own."""

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
                f"no teacher has that architecture; they are teachers.archs=[{','.join(archs)}]",
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
        """The architectures that make soft labels: those of ``labeling.teachers`` or, by default, the ensemble."""
        return self.labeling.teachers or self.ensemble

    def baselines_of(self, in_sweep: bool) -> list[Baseline]:
        """The baselines of a run, which is a job of a sweep if ``in_sweep``."""
        if self.baselines is not None:
            return self.baselines
        by_teachers = [] if self.labeling.made_elsewhere else [Baseline(f"random_{self.labeling.mode.value}")]
        return [] if in_sweep else list(dict.fromkeys([*by_teachers, Baseline.random_hard, Baseline.full]))

    def protocol_for(self, arch: str | None = None) -> EvaluateConfig:
        """The protocol's settings for students of ``arch``; None: for the first student."""
        return self.evaluate.for_student(arch or self.student.archs[0], self.ipc)

    def protocol_name_with(self, mode: LabelMode) -> str:
        """The protocol's name, followed by ``mode`` where the protocol is made for other labels."""
        return self.evaluate.name_with(mode)
