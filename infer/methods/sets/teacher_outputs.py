"""Outputs of a teacher on real training images, which methods use to choose images."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from infer.config import Stage
from infer.context import Context
from infer.progress import Meter
from infer.ranges import consecutive
from infer.store import Artefact, Sharing, Workspace
from infer.store.files import load_tensors, save_tensors
from infer.teachers.teacher import Teacher

CLASSES_PER_ARTEFACT = 10
"""Classes in one artefact: few enough that several processes can share a data set, and enough to have few artefacts."""


class TeacherOutputs(Artefact):
    """Outputs of ``teacher`` on the training images of consecutive ``classes``, one file per class.

    They depend neither on ipc nor on other classes, so sets of all sizes share them.
    """

    stage = Stage.generate
    sharing = Sharing.together

    def __init__(self, context: Context, teacher: Teacher, classes: range) -> None:
        self.context = context
        self.teacher = teacher
        self.classes = classes

    @property
    def counts(self) -> list[int]:
        """Number of training images of each of its classes."""
        return self.context.data.train_counts[self.classes.start : self.classes.stop]

    @abstractmethod
    def images_of(self, target: int) -> Tensor:
        """Indices of the training images of class ``target`` that the network sees: int64 [n]."""

    @abstractmethod
    def outputs_for(
        self, network: nn.Module, target: int, index: Tensor, on_images: Callable[[int], None]
    ) -> dict[str, Tensor]:
        """Outputs of ``network`` on the images ``index`` of class ``target``, by name.

        ``on_images`` is called with the number of images done.
        """

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
        """The network whose outputs are stored, on the run's device, in eval mode."""
        return self.teacher.network()

    def make(self, workspace: Workspace) -> dict[str, Any]:
        network = self.network()
        images = {target: self.images_of(target) for target in self.classes}
        description = f"generate {self.kind} {self.teacher.arch} classes {self.classes.start}..{self.classes.stop - 1}"
        with self.context.meter(self, description, sum(map(len, images.values()))) as meter:
            done = 0
            for target, index in images.items():
                outputs = self.outputs_for(network, target, index, partial(_advance, meter, done))
                save_tensors(workspace.folder / _file_of(target), outputs)
                done += len(index)
        return {"classes": len(self.classes)}

    def of_class(self, target: int) -> dict[str, Tensor]:
        """Stored outputs on the images of class ``target``, on the CPU."""
        return load_tensors(self.context.folder(self) / _file_of(target))


def class_groups(num_classes: int) -> list[range]:
    """Groups of consecutive classes, one for each artefact."""
    return consecutive(num_classes, CLASSES_PER_ARTEFACT)


def _advance(meter: Meter, before: int, count: int) -> None:
    """Advance ``meter`` to ``count`` images of a class, after ``before`` images of other classes."""
    meter.advance_to(before + count)


def _file_of(target: int) -> str:
    return f"class{target:05d}.safetensors"
