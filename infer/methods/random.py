"""Random real images: the baseline that every method has to beat."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from infer.methods.method import Method
from infer.methods.registry import register

if TYPE_CHECKING:
    from infer.context import Context
    from infer.methods.sets.real_images import RandomSet


@register("random")
@dataclass
class RandomMethod(Method):
    """Method that draws ``ipc`` training images per class at random, without replacement."""

    def distilled_set(self, context: "Context") -> "RandomSet":
        from infer.methods.sets.real_images import RandomSet

        return RandomSet(context, self.requested_training_images(context))
