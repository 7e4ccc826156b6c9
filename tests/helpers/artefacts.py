"""Every kind of thing that the store can hold, so that a test cannot forget one."""

import importlib
import pkgutil

import infer.methods
import infer.pipeline.run
from infer.store import Artefact


def artefact_classes() -> set[type[Artefact]]:
    """The program's own classes of artefacts, in whatever module."""
    for module in pkgutil.walk_packages(infer.methods.__path__, "infer.methods."):  # imported on use
        importlib.import_module(module.name)
    found, to_visit = set(), [Artefact]
    while to_visit:
        artefact = to_visit.pop()
        to_visit += artefact.__subclasses__()
        if artefact.__module__.startswith("infer.") and not artefact.__abstractmethods__:
            found.add(artefact)
    return found
