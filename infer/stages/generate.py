"""Generate: the distilled set that the settings ask for, by the class of the method's settings."""

from collections.abc import Callable

from infer.config.method import InferMethod, MethodConfig, RandomMethod
from infer.context import Context
from infer.errors import UsageError
from infer.methods.base import DistilledArtefact
from infer.methods.budget import subsets_for
from infer.methods.infer import InferSet
from infer.methods.random import RandomSet
from infer.stages.squeeze import Teacher


def _infer(context: Context) -> InferSet:
    config = context.config
    teachers = [Teacher(context, arch) for arch in config.ensemble]
    subsets = config.K or subsets_for(config.ipc, context.data.num_classes, len(teachers))
    _require_images(context, subsets, "K")
    return InferSet(context, config.method, teachers, subsets)


def _random(context: Context) -> RandomSet:
    if context.config.K is not None:
        raise UsageError(f"K={context.config.K} means nothing to method=random. Type ipc=<images per class> instead")
    _require_images(context, context.config.ipc, "ipc")
    return RandomSet(context, context.config.ipc)


def _require_images(context: Context, per_class: int, key: str) -> None:
    """Every class must have as many training images as are to be drawn from it."""
    counts = context.data.train_counts
    if per_class > min(counts):
        scarce = context.data.classes[counts.index(min(counts))]
        raise UsageError(
            f"{key}={per_class} (given, or from ipc={context.config.ipc}) needs as many training images of every "
            f"class, but class {scarce!r} of {context.data.name} has {min(counts)}. Type {key}={min(counts)} or less"
        )


METHODS: dict[type[MethodConfig], Callable[[Context], DistilledArtefact]] = {
    InferMethod: _infer,
    RandomMethod: _random,
}


def distilled_set(context: Context) -> DistilledArtefact:
    """The distilled set that the settings ask for; nothing is made yet."""
    return METHODS[type(context.config.method)](context)
