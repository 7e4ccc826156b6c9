"""Outputs of a teacher on real training images, by which methods choose among these images."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from infer.config import Stage
from infer.context import Context
from infer.ranges import consecutive
from infer.store import Artefact, Workspace
from infer.store.files import load_tensors, save_tensors
from infer.teachers.teacher import Teacher

CLASSES_PER_ARTEFACT = 10
"""Classes in one artefact: few enough for several processes to share a data set, enough to keep artefacts few."""


class TeacherOutputs(Artefact):
    """Outputs of ``teacher`` on the training images of consecutive ``classes``, one file per class.

    They depend neither on ipc nor on the other classes, so sets of all sizes share them.
    """

    stage = Stage.generate

    def __init__(self, context: Context, teacher: Teacher, classes: range) -> None:
        self.context = context
        self.teacher = teacher
        self.classes = classes

    @abstractmethod
    def outputs_for(self, network: nn.Module, target: int) -> dict[str, Tensor]:
        """Outputs of ``network`` on the images of class ``target``, by name."""

    @property
    def name(self) -> str:
        return f"{self.context.data.name}-{self.teacher.arch}-classes{self.classes.start}-{self.classes.stop - 1}"

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"data": self.context.data.fingerprint, "classes": [self.classes.start, self.classes.stop]}

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return {"teacher": self.teacher}

    def network(self) -> nn.Module:
        """The network whose outputs are kept, on the run's device, in eval mode."""
        return self.teacher.network()

    def make(self, workspace: Workspace) -> dict[str, Any]:
        network = self.network()
        description = f"generate {self.kind} {self.teacher.arch} classes {self.classes.start}..{self.classes.stop - 1}"
        with self.context.console.progress(description, len(self.classes)) as ticker:
            for done, target in enumerate(self.classes, start=1):
                save_tensors(workspace.folder / _file_of(target), self.outputs_for(network, target))
                ticker.advance_to(done)
        return {"classes": len(self.classes)}

    def of_class(self, target: int) -> dict[str, Tensor]:
        """Stored outputs on the images of class ``target``, on the CPU."""
        return load_tensors(self.context.folder(self) / _file_of(target))


def class_groups(num_classes: int) -> list[range]:
    """All classes in groups of consecutive ones, one for each artefact."""
    return consecutive(num_classes, CLASSES_PER_ARTEFACT)


def _file_of(target: int) -> str:
    return f"class{target:05d}.safetensors"
