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
    context.data.require_images(subsets)
    return InferSet(context, config.method, teachers, subsets)


def _random(context: Context) -> RandomSet:
    if context.config.K is not None:
        raise UsageError(f"K={context.config.K} means nothing to method=random. Type ipc=<images per class> instead")
    context.data.require_images(context.config.ipc, "ipc")
    return RandomSet(context, context.config.ipc)


METHODS: dict[type[MethodConfig], Callable[[Context], DistilledArtefact]] = {
    InferMethod: _infer,
    RandomMethod: _random,
}


def distilled_set(context: Context) -> DistilledArtefact:
    """The distilled set that the settings ask for; nothing is made yet."""
    return METHODS[type(context.config.method)](context)
