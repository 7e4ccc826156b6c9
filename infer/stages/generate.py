"""Generate: make the distilled sets, and the artefacts that they are made from."""

import logging
from collections.abc import Sequence

from infer.analyses.registry import signs_of_failure
from infer.config import Stage
from infer.context import Context
from infer.methods.sets.base import DistilledArtefact
from infer.stages.make_artefacts import make_stage
from infer.store import Artefact

log = logging.getLogger(__name__)


def run(context: Context, artefacts: Sequence[Artefact]) -> None:
    """Make the distilled sets and their parents, if the stage was requested, and warn about signs of failure."""
    make_stage(context, Stage.generate, artefacts)
    if Stage.generate in context.config.stages:
        _warn(artefacts)


def _warn(artefacts: Sequence[Artefact]) -> None:
    """Log signs of failure of the sets among ``artefacts``, before students are trained."""
    for images in artefacts:
        if isinstance(images, DistilledArtefact):
            for sign in signs_of_failure(images):
                log.warning("%s: %s", images.name, sign)
