"""Every kind of thing that the store can hold, so that a test cannot forget one."""

import infer.pipeline.run  # noqa: F401
from infer.store import Artefact


def artefact_classes() -> set[type[Artefact]]:
    """The program's own classes of artefacts."""
    found, to_visit = set(), [Artefact]
    while to_visit:
        artefact = to_visit.pop()
        to_visit += artefact.__subclasses__()
        if artefact.__module__.startswith("infer.") and not artefact.__abstractmethods__:
            found.add(artefact)
    return found
