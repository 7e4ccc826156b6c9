"""Registry of methods: the settings dataclasses by name, of methods in this package and in other packages."""

import pkgutil
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, TypeVar

from hydra.core.config_store import ConfigStore

import infer.config
from infer import methods
from infer.errors import UsageError
from infer.methods.method import Method

if TYPE_CHECKING:
    from infer.context import Context
    from infer.methods.sets.base import DistilledArtefact

ENTRY_POINTS = "infer.methods"
"""Entry-point group with which another package names the modules that declare its methods."""

MethodClass = TypeVar("MethodClass", bound=type[Method])
_classes: dict[str, type[Method]] = {}


def register(name: str) -> Callable[[MethodClass], MethodClass]:
    """Class decorator that declares a method.

    The decorated class becomes the schema ``/schema/method/<name>``, on which the method's YAML file is based.
    """

    def add(settings: MethodClass) -> MethodClass:
        _classes[name] = settings
        return settings

    return add


def method_classes() -> dict[str, type[Method]]:
    """The settings dataclass of every method by name, after importing the modules that declare them."""
    for module in pkgutil.iter_modules(methods.__path__):
        if not module.ispkg:  # subpackages hold the implementations, which import torch
            import_module(f"{methods.__name__}.{module.name}")
    for entry_point in entry_points(group=ENTRY_POINTS):
        _load(entry_point)
    return dict(_classes)


def register_all() -> None:
    """Register all settings of a run with Hydra, including those of every method."""
    infer.config.register()
    for name, settings in method_classes().items():
        ConfigStore.instance().store(group="schema/method", name=name, node=settings)


def _load(entry_point: EntryPoint) -> None:
    """Import the module that another package's ``entry_point`` names. Raises UsageError where that fails."""
    try:
        entry_point.load()
    except Exception as error:
        package = entry_point.dist.name if entry_point.dist else "?"
        raise UsageError(
            f"the installed package {package!r} declares the method {entry_point.name!r} in {entry_point.value}, which "
            f"cannot be imported ({type(error).__name__}: {error}). Repair it, or type: pip uninstall {package}"
        ) from error


def distilled_set(context: "Context") -> "DistilledArtefact":
    """The distilled set that the settings of a run describe, not computed yet."""
    method = context.config.method
    assert isinstance(method, Method), f"{type(method).__name__} is no registered method"
    return method.distilled_set(context)
