"""Settings of an evaluation protocol: how students are trained on a distilled set and what is tested."""

from dataclasses import dataclass, field
from enum import Enum

from omegaconf import MISSING

from infer.config.checks import require, require_at_least, require_distinct, require_positive
from infer.config.training import Training


class TestSplit(str, Enum):
    """What the leading number is measured on: the real test split, or a part of the training data held out."""

    test = "test"
    val = "val"


class Mix(str, Enum):
    """How two images of a batch are blended."""

    none = "none"
    mixup = "mixup"


@dataclass
class EvaluateConfig(Training):
    """A named protocol; numbers of different protocols cannot be compared."""

    protocol: str = MISSING
    """The name that stands beside every number."""
    divide_epochs_by_blocks: bool = False
    """Divide ``epochs`` by the composed images per stored one (M+1 for INFER), rounded: the published dynamic recipe,
    400 epochs giving 80 at M=4."""
    temperature: float = 30.0
    """T of softmax(logits / T) in the soft-label loss, which is not multiplied by T²."""
    mix: Mix = Mix.mixup
    mix_alpha: float = 0.8
    """Both parameters of the Beta distribution that the mixing weight is drawn from."""
    repeats: int = 3
    """Students trained per architecture, each from a seed of its own."""
    split: TestSplit = TestSplit.test
    """``val`` holds out a stratified part of the training data that nothing is trained or distilled on."""
    val_fraction: float = 0.1

    def __post_init__(self) -> None:
        self.check("evaluate")
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
