"""Base of every method: its settings and the distilled set that they ask for."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infer.config.method import MethodConfig
from infer.errors import UsageError

if TYPE_CHECKING:
    from infer.context import Context
    from infer.methods.sets.base import DistilledArtefact
    from infer.teachers.teacher import Teacher


@dataclass
class Method(MethodConfig, ABC):
    """A method as its one declaring module ``infer/methods/<name>.py`` states it: settings, needs and distilled set.

    Hydra needs the settings of all methods before it composes any, also for ``--help``, and importing torch takes
    seconds. So these modules import torch, and everything that rests on it, inside ``distilled_set`` only.
    """

    @abstractmethod
    def distilled_set(self, context: "Context") -> "DistilledArtefact":
        """The distilled set of a run; nothing is computed yet. Raises UsageError for settings that cannot be met."""

    def requested_ipc(self, context: "Context") -> int:
        """``ipc``, for methods without natural subsets; raises UsageError where K is given."""
        config = context.config
        if config.K is not None:
            raise UsageError(f"K={config.K} means nothing to method={self.name}. Type ipc=<images per class> instead")
        return config.ipc

    def requested_training_images(self, context: "Context") -> int:
        """``ipc``, for methods that take as many images of each class; raises UsageError where a class has fewer."""
        per_class = self.requested_ipc(context)
        context.data.require_images(per_class, "ipc")
        return per_class

    def first_teacher(self, context: "Context") -> "Teacher":
        """The teacher of methods that distil with one: the first of the ensemble."""
        from infer.teachers.teacher import Teacher

        return Teacher(context, context.config.ensemble[0])
