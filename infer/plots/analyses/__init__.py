"""Sentences and figures for analyses of distilled sets, made from the numbers in the store."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infer.plots.style import drawing, save_in_all_forms
from infer.records.artefacts import stored_artefacts
from infer.records.run import Run

if TYPE_CHECKING:
    from infer.plots.analyses.kind import Kind

log = logging.getLogger(__name__)
Facts = Mapping[str, Any]
"""Numbers of an analysis, from its record."""


def facts_of(run: Run, outputs: Path) -> dict[str, Facts]:
    """Numbers by name of the analyses of ``run`` that are in the store under ``outputs``."""
    stored = stored_artefacts(outputs, list(run.analyses.values()))
    return {name: stored[s].record["facts"] for name, s in run.analyses.items() if s in stored}


def draw(facts: Facts, folder: Path, name: str) -> list[Path]:
    """Write the figure of an analysis as ``<name>.png``, ``.svg`` and ``.pdf`` into ``folder``, and return the files.

    A failure gives a warning and no files, since a run should not fail because of a picture.
    """
    with drawing():
        try:
            return save_in_all_forms(_kind_of(facts).figure(facts), folder, name, vectors="")
        except Exception as error:
            log.warning(
                "the figure of %s could not be drawn (%s: %s); its numbers are stored",
                facts["analysis"],
                type(error).__name__,
                error,
            )
            return []


def sentence_of(facts: Facts) -> str:
    """The result of an analysis in one sentence with numbers."""
    return _kind_of(facts).sentence(facts)


def numbers_of(facts: Facts) -> dict[str, float | None]:
    """The leading numbers of an analysis, by name."""
    return _kind_of(facts).numbers(facts)


def _kind_of(facts: Facts) -> "Kind":
    from infer.plots.analyses import boundary, conflict, dominance, interpolation, similarity  # matplotlib is slow

    kinds: Iterable[Kind] = (similarity.KIND, interpolation.KIND, boundary.KIND, conflict.KIND, dominance.KIND)
    return next(kind for kind in kinds if kind.name == facts["analysis"])
