"""Base class of the methods: settings, and the distilled set that they describe."""

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
    """Declaration of a method in its module ``infer/methods/<name>.py``: settings, requirements and distilled set.

    Hydra needs the settings of all methods before it composes a config, also for ``--help``, and importing torch takes
    seconds. Therefore these modules import torch, and everything that needs it, only inside ``distilled_set``.
    """

    @abstractmethod
    def distilled_set(self, context: "Context") -> "DistilledArtefact":
        """The distilled set of a run, not computed yet. Raises UsageError for settings that cannot be fulfilled."""

    def requested_ipc(self, context: "Context") -> int:
        """The setting ``ipc``, for methods without natural subsets. Raises UsageError where K is given."""
        config = context.config
        if config.K is not None:
            raise UsageError(f"K={config.K} does not apply to method={self.name}. Type ipc=<images per class> instead")
        return config.ipc

    def requested_training_images(self, context: "Context") -> int:
        """The setting ``ipc``, for methods that take ``ipc`` real images of each class.

        Raises UsageError where a class has fewer, and where K is given.
        """
        per_class = self.requested_ipc(context)
        context.data.require_images(per_class, "ipc")
        return per_class

    def first_teacher(self, context: "Context") -> "Teacher":
        """The first teacher of the ensemble, for methods that distil with one teacher."""
        from infer.teachers.teacher import Teacher

        return Teacher(context, context.config.ensemble[0])
