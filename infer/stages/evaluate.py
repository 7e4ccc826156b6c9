"""Evaluate: train the students."""

from collections.abc import Sequence

from infer.config import Stage
from infer.context import Context
from infer.stages.make_artefacts import make_stage
from infer.store import Artefact


def run(context: Context, artefacts: Sequence[Artefact]) -> None:
    """Train the students, if the stage was requested."""
    make_stage(context, Stage.evaluate, artefacts)
