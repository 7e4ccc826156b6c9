"""Herding: real images whose mean feature follows the mean of their class (Welling 2009; iCaRL, CVPR 2017)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from infer.methods.method import Method
from infer.methods.registry import register

if TYPE_CHECKING:
    from infer.context import Context
    from infer.methods.sets.coreset import HerdingSet


@register("herding")
@dataclass
class HerdingMethod(Method):
    """Method that chooses ``ipc`` training images per class by herding in the feature space of the first teacher."""

    def teachers_with_features(self, ensemble: list[str]) -> list[str]:
        return ensemble[:1]

    def distilled_set(self, context: "Context") -> "HerdingSet":
        from infer.methods.sets.coreset import HerdingSet

        return HerdingSet(context, self.requested_training_images(context), self.first_teacher(context))
