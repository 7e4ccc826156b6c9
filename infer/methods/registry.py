"""Generate: the distilled set that the settings ask for, by the class of the method's settings."""

from collections.abc import Callable

from infer.config.method import (
    DwaMethod,
    HerdingMethod,
    ImportedMethod,
    InferMethod,
    KCenterMethod,
    MethodConfig,
    RandomMethod,
    RdedMethod,
    Sre2lMethod,
)
from infer.context import Context
from infer.errors import UsageError
from infer.methods.base import DistilledArtefact
from infer.methods.budget import subsets_for
from infer.methods.dwa import dwa_set
from infer.methods.herding import HerdingSet
from infer.methods.imported import imported_set
from infer.methods.infer import InferSet
from infer.methods.kcenter import KCenterSet
from infer.methods.random import RandomSet
from infer.methods.rded import RdedSet
from infer.methods.sre2l import sre2l_set
from infer.methods.synthesis import SynthesisedSet
from infer.teachers.teacher import Teacher


def _infer(context: Context) -> InferSet:
    config = context.config
    teachers = [Teacher(context, arch) for arch in config.ensemble]
    subsets = config.K or subsets_for(config.ipc, context.data.num_classes, len(teachers))
    context.data.require_images(subsets)
    return InferSet(context, config.method, teachers, subsets)


def _random(context: Context) -> RandomSet:
    return RandomSet(context, _real_images(context))


def _herding(context: Context) -> HerdingSet:
    return HerdingSet(context, _real_images(context), _first_teacher(context))


def _kcenter(context: Context) -> KCenterSet:
    return KCenterSet(context, _real_images(context), _first_teacher(context))


def _rded(context: Context) -> RdedSet:
    return RdedSet(context, context.config.method, _without_subsets(context), _first_teacher(context))


def _imported(context: Context) -> DistilledArtefact:
    if context.config.K is not None:
        raise UsageError(f"K={context.config.K} means nothing to method=imported: a set has its own size. Leave it out")
    return imported_set(context, context.config.method)


def _sre2l(context: Context) -> SynthesisedSet:
    return sre2l_set(context, context.config.method, _without_subsets(context), _first_teacher(context))


def _dwa(context: Context) -> SynthesisedSet:
    return dwa_set(context, context.config.method, _real_images(context), _first_teacher(context))


def _real_images(context: Context) -> int:
    """Images per class where each is a training image of its own."""
    per_class = _without_subsets(context)
    context.data.require_images(per_class, "ipc")
    return per_class


def _without_subsets(context: Context) -> int:
    """Images per class of a method that knows no natural subsets."""
    config = context.config
    if config.K is not None:
        method = config.method.name
        raise UsageError(f"K={config.K} means nothing to method={method}. Type ipc=<images per class> instead")
    return config.ipc


def _first_teacher(context: Context) -> Teacher:
    """The teacher of a method that needs one."""
    return Teacher(context, context.config.ensemble[0])


METHODS: dict[type[MethodConfig], Callable[[Context], DistilledArtefact]] = {
    InferMethod: _infer,
    RandomMethod: _random,
    ImportedMethod: _imported,
    HerdingMethod: _herding,
    KCenterMethod: _kcenter,
    RdedMethod: _rded,
    Sre2lMethod: _sre2l,
    DwaMethod: _dwa,
}


def distilled_set(context: Context) -> DistilledArtefact:
    """The distilled set that the settings ask for; nothing is made yet."""
    return METHODS[type(context.config.method)](context)
