"""Relabel: make the stored labels."""

from collections.abc import Sequence

from infer.config import Stage
from infer.context import Context
from infer.stages.make_artefacts import make_stage
from infer.store import Artefact


def run(context: Context, artefacts: Sequence[Artefact]) -> None:
    """Make the stored labels, if the stage was requested."""
    make_stage(context, Stage.relabel, artefacts)
