"""Settings of an evaluation protocol: how students are trained on a distilled set and what is tested."""

from dataclasses import dataclass, field, replace
from enum import Enum

from omegaconf import MISSING

from infer.config.checks import require, require_at_least, require_distinct, require_positive
from infer.config.labeling import LabelMode
from infer.config.training import Training

_OTHERS = "default"
"""The key of ``lr_by_student`` for architectures without an own one."""


class TestSplit(str, Enum):
    """Split that the leading number is measured on: the real test split, or a part of the training data held out."""

    test = "test"
    val = "val"


class Mix(str, Enum):
    """Blending of two images of a batch."""

    none = "none"
    mixup = "mixup"
    cutmix = "cutmix"


class TeacherBn(str, Enum):
    """Statistics that the batch-norm layers of a teacher use while it labels."""

    eval = "eval"
    batch = "batch"


class TestCrop(str, Enum):
    """Part of a test image that a student sees."""

    whole = "whole"
    enlarged_centre = "enlarged_centre"


class StudentPrecision(str, Enum):
    """Arithmetic of training students."""

    fp32 = "fp32"
    bf16 = "bf16"


class Reported(str, Enum):
    """The epoch whose scores lead."""

    last = "last"
    best = "best"


@dataclass
class EvaluateConfig(Training):
    """A named protocol; numbers of different protocols cannot be compared.

    Where published numbers silently differ there is a setting: mixing, crops, schedule, weight decay, T², statistics of
    teachers and of pixels, the reported epoch.
    """

    protocol: str = MISSING
    """The name that stands beside every number."""
    published_with: LabelMode | None = None
    """The labels that the protocol is made for; with others, and where it is made for none in particular (null), it is
    named ``<protocol>+<labels>``."""
    convnet3: str = "convnet3"
    """The network that ``student=convnet3`` stands for: the field's, with instance norm, or ``convnet3_batchnorm``, the
    ConvNet of RDED's and INFER's codes. A name typed in ``student.archs`` is that network under any protocol."""
    batch_size: int | None = 64  # type: ignore[assignment] # null until for_student has filled it in
    """null: as ``batch_size_by_ipc`` says."""
    batch_size_by_ipc: dict[int, int] = field(default_factory=dict)
    """Batch sizes from an ipc on, up to the next one listed: {1: 10, 10: 50} gives 10 for ipc 1 to 9, then 50. RDED
    lists 1, 10 and 50 and has none for other ipc."""
    lr: float | None = 1e-3  # type: ignore[assignment] # likewise
    """Peak learning rate; null: as ``lr_by_student`` says."""
    lr_by_student: dict[str, float] = field(default_factory=dict)
    """Peak learning rates by architecture; ``default`` is that of all others."""
    precision: StudentPrecision | None = None
    """Arithmetic in which students are trained, and teachers label online, where the top-level ``precision`` is auto:
    fp32 in published protocols, as their codes do on every device; null: that of the top level."""
    divide_epochs_by_blocks: bool = False
    """Divide ``epochs`` by the composed images per stored one (M+1 for INFER), rounded: the published dynamic recipe,
    400 epochs giving 80 at M=4."""
    temperature: float = 30.0
    """T of softmax(logits / T) in the soft-label loss."""
    loss_times_t2: bool = False
    """Multiply the soft-label loss by T², as on Tiny-ImageNet (SRe2L, DWA); with SGD this is a factor of the learning
    rate, with AdamW next to nothing."""
    teacher_bn: TeacherBn = TeacherBn.eval
    """For dynamic and fkd labels. ``batch``: a teacher's batch-norm layers use the statistics of the images that are
    labelled together, as where the published code forgets ``.eval()`` (SRe2L and DWA on CIFAR). There the running
    statistics drift along without ever being read; here they stay, and dropout stays off."""
    mix: Mix = Mix.mixup
    """One partner per image and one weight per batch. The labels of a mixed image are mixed likewise (hard, static) or
    made of it (dynamic, fkd)."""
    mix_alpha: float = 0.8
    """Both parameters of the Beta distribution that the mixing weight is drawn from."""
    test_crop: TestCrop = TestCrop.whole
    """``enlarged_centre``: test images are enlarged to size // 7 · 8 pixels and their centre is cut out (RDED: 32 stays
    32, 64 becomes 72)."""
    reported: Reported = Reported.last
    """``best``: the highest of the tested epochs leads and the protocol is named ``<protocol>@best``. It is chosen on
    the very images that it is tested on, so it flatters; the last epoch stands beside it."""
    repeats: int = 3
    """Students trained per architecture, each from a seed of its own."""
    split: TestSplit = TestSplit.test
    """``val`` holds out a stratified part of the training data that nothing is trained or distilled on."""
    val_fraction: float = 0.1

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
        """The protocol's name beside numbers with labels of ``mode``."""
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
    """The networks that the distilled set is judged by."""

    archs: list[str] = field(default_factory=list)
    """The first leads every table; the others stand beside it."""

    def __post_init__(self) -> None:
        require(
            bool(self.archs),
            "student.archs",
            "[]",
            "name at least one architecture, e.g. student.archs=[convnet3]",
        )
        require_distinct("student.archs", self.archs)
