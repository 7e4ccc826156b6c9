"""k-center: real images such that every image of their class is near one of them (Sener & Savarese, ICLR 2018)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from infer.methods.method import Method
from infer.methods.registry import register

if TYPE_CHECKING:
    from infer.context import Context
    from infer.methods.sets.coreset import KCenterSet


@register("kcenter")
@dataclass
class KCenterMethod(Method):
    """Method that chooses ``ipc`` training images per class as k centers in the feature space of the first teacher."""

    def teachers_with_features(self, ensemble: list[str]) -> list[str]:
        return ensemble[:1]

    def distilled_set(self, context: "Context") -> "KCenterSet":
        from infer.methods.sets.coreset import KCenterSet

        return KCenterSet(context, self.requested_training_images(context), self.first_teacher(context))
