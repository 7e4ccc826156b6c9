"""Settings of an evaluation protocol: the training of students on a distilled set, and their test."""

from dataclasses import dataclass, field, replace
from enum import Enum

from omegaconf import MISSING

from infer.config.checks import require, require_at_least, require_distinct, require_positive
from infer.config.labeling import LabelMode
from infer.config.training import Training

_OTHERS = "default"
"""Key of ``lr_by_student`` for the architectures that it does not list."""


class TestSplit(str, Enum):
    """Split on which the main score is measured: the real test split, or a held-out part of the training data."""

    test = "test"
    val = "val"


class Mix(str, Enum):
    """Mixing of two images of a batch."""

    none = "none"
    mixup = "mixup"
    cutmix = "cutmix"


class TeacherBn(str, Enum):
    """Statistics that a teacher's batch-norm layers use while it labels: the running ones, or those of the batch."""

    eval = "eval"
    batch = "batch"


class TestCrop(str, Enum):
    """Part of a test image that a student sees."""

    whole = "whole"
    enlarged_centre = "enlarged_centre"


class StudentPrecision(str, Enum):
    """Floating-point format in which students are trained."""

    fp32 = "fp32"
    bf16 = "bf16"


class Reported(str, Enum):
    """Epoch whose scores are the main result."""

    last = "last"
    best = "best"


@dataclass
class EvaluateConfig(Training):
    """Settings of a named protocol. Numbers that were measured under different protocols cannot be compared.

    The details in which published protocols differ without saying so are settings: mixing, crops, schedule, weight
    decay, the factor T² of the loss, the statistics of the teachers' batch norm and of the pixels, the reported epoch.
    """

    protocol: str = MISSING
    """Name of the protocol, shown beside every score."""
    published_with: LabelMode | None = None
    """Labels that the protocol is made for; null: for none in particular. With any other labels its name is shown as
    ``<protocol>+<labels>``."""
    convnet3: str = "convnet3"
    """Network that ``student=convnet3`` stands for under this protocol: ``convnet3``, the usual ConvNet with instance
    norm, or ``convnet3_batchnorm``, the ConvNet of RDED's and INFER's code. A name given in ``student.archs`` is that
    network under every protocol."""
    batch_size: int | None = 64  # type: ignore[assignment] # null until for_student has filled it in
    """Images per update; null: taken from ``batch_size_by_ipc``."""
    batch_size_by_ipc: dict[int, int] = field(default_factory=dict)
    """Batch size by ipc, used where ``batch_size`` is null. An entry holds from its ipc up to the next entry:
    ``{1: 10, 10: 50}`` gives 10 for ipc 1 to 9, and 50 from 10 on. RDED publishes values for ipc 1, 10 and 50 only."""
    lr: float | None = 1e-3  # type: ignore[assignment] # likewise
    """Peak learning rate; null: taken from ``lr_by_student``."""
    lr_by_student: dict[str, float] = field(default_factory=dict)
    """Peak learning rate by architecture, used where ``lr`` is null; the entry ``default`` holds for all architectures
    that are not listed."""
    precision: StudentPrecision | None = None
    """Floating-point format in which students are trained and tested where the top-level ``precision`` is auto. It is
    fp32 in published protocols, as their code uses fp32 on every device. null: as the top-level ``precision`` decides.
    Teachers label in fp32 in any case."""
    divide_epochs_by_blocks: bool = False
    """Divide ``epochs`` by the number of composed images per stored image (M+1 for INFER), and round the result: the
    published recipe for dynamic labels, in which 400 epochs become 80 at M=4."""
    temperature: float = 30.0
    """Temperature T of softmax(logits / T), for teachers and students, in the soft-label loss."""
    loss_times_t2: bool = False
    """Multiply the soft-label loss by T², as SRe2L and DWA do on Tiny-ImageNet. With SGD this scales the learning rate;
    with AdamW it has almost no effect."""
    teacher_bn: TeacherBn = TeacherBn.eval
    """Statistics that the teachers' batch-norm layers use while they label, for dynamic and fkd labels. ``eval``: the
    running statistics. ``batch``: the statistics of the images that are labelled together, as in published code that
    does not call ``.eval()`` (SRe2L and DWA on CIFAR). That code also updates the running statistics, though it never
    reads them; here they are not changed, and dropout stays off."""
    mix: Mix = Mix.mixup
    """Mixing of each training image with one other image of its batch, with one weight per batch. The label of a mixed
    image is the mixture of the two labels (hard, static), or is computed from the mixed image (dynamic, fkd)."""
    mix_alpha: float = 0.8
    """Both parameters of the Beta distribution from which the mixing weight is drawn."""
    test_crop: TestCrop = TestCrop.whole
    """Part of a test image that students see. ``whole``: the whole image. ``enlarged_centre``: the centre crop of the
    image after it is enlarged to size // 7 · 8 pixels, as in RDED (32 stays 32, 64 becomes 72)."""
    reported: Reported = Reported.last
    """Epoch whose scores are the main result. ``best``: the tested epoch with the highest accuracy; the protocol is
    then named ``<protocol>@best``. That epoch is chosen on the images of the test itself, so its accuracy is biased
    upwards; the scores of the last epoch are recorded beside it."""
    repeats: int = 3
    """Number of students per architecture, each with its own random numbers."""
    split: TestSplit = TestSplit.test
    """Split of the main score. ``val`` holds out a stratified part of the training data, which is used neither to train
    nor to distil."""
    val_fraction: float = 0.1
    """Fraction of the training images of each class that ``split=val`` holds out, in (0, 1)."""

    def __post_init__(self) -> None:
        self.check("evaluate")
        self._check_tables()
        require_at_least(1, "evaluate.repeats", self.repeats)
        require_positive("evaluate.temperature", self.temperature)
        require_positive("evaluate.mix_alpha", self.mix_alpha)
        require(
            0 < self.val_fraction < 1,
            "evaluate.val_fraction",
            self.val_fraction,
            "it must lie between 0 and 1",
        )
        require(
            not self.divide_epochs_by_blocks or self.epochs is not None,
            "evaluate.divide_epochs_by_blocks",
            "true",
            "it needs a length in epochs, and this protocol's is in steps",
        )

    def name_with(self, mode: LabelMode) -> str:
        """The protocol's name as shown beside scores of students with labels of ``mode``."""
        name = self.protocol if mode is self.published_with else f"{self.protocol}+{mode.value}"
        return f"{name}@best" if self.reported is Reported.best else name

    def for_student(self, arch: str, ipc: int) -> "EvaluateConfig":
        """The protocol with the batch size for ``ipc`` and the learning rate for ``arch``."""
        return replace(self, batch_size=self._batch_size_at(ipc), lr=self._lr_of(arch))

    def _batch_size_at(self, ipc: int) -> int:
        if self.batch_size is not None:
            return self.batch_size
        listed = sorted(self.batch_size_by_ipc)
        below = [each for each in listed if each <= ipc]
        return self.batch_size_by_ipc[below[-1] if below else listed[0]]

    def _lr_of(self, arch: str) -> float:
        return self.lr if self.lr is not None else self.lr_by_student.get(arch, self.lr_by_student[_OTHERS])

    def _check_tables(self) -> None:
        require(
            self.batch_size is not None or bool(self.batch_size_by_ipc),
            "evaluate.batch_size",
            None,
            "this protocol has no evaluate.batch_size_by_ipc either; give a number",
        )
        for ipc, size in self.batch_size_by_ipc.items():
            allowed = f"an ipc and a batch size of at least 1 that evaluate.accumulate={self.accumulate} divides"
            possible = ipc >= 1 and size >= 1 and size % self.accumulate == 0
            require(possible, "evaluate.batch_size_by_ipc", f"{{{ipc}: {size}}}", allowed)
        require(
            self.lr is not None or _OTHERS in self.lr_by_student,
            "evaluate.lr",
            None,
            f"evaluate.lr_by_student does not name a rate for {_OTHERS} either; give a number",
        )
        for arch, lr in self.lr_by_student.items():
            require_positive(f"evaluate.lr_by_student.{arch}", lr)


@dataclass
class StudentConfig:
    """Networks that are trained on the distilled set to evaluate it."""

    archs: list[str] = field(default_factory=list)
    """Architectures of the students. The scores of the first are the main result; the others are shown beside it."""

    def __post_init__(self) -> None:
        require(
            bool(self.archs),
            "student.archs",
            "[]",
            "name at least one architecture, e.g. student.archs=[convnet3]",
        )
        require_distinct("student.archs", self.archs)
