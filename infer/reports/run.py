"""``report.html`` of a run: a sentence about the outcome, scores, images, curves and predictions."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infer.files import has_broken_seal, read_json, replaced_whole
from infer.plots.analyses import facts_of, sentence_of
from infer.plots.run import title_of
from infer.records.names import ANALYSES, FIGURES, REPORT, ROBUST_SCORES
from infer.records.noise import LEVEL
from infer.records.run import Run
from infer.records.sections import (
    environment_section,
    scores_section,
    settings_section,
    stages_section,
    storage_section,
    teachers_section,
)
from infer.records.settings import has_effect, typed_values, typed_words
from infer.records.verdict import verdict
from infer.reports.gallery import Gallery, gallery_of
from infer.reports.page import picture, render
from infer.tables import Section, from_here, summary_as_text
from infer.words import launch_command

log = logging.getLogger(__name__)

_PICTURES = {
    "curves": "Losses and accuracies over the trainings of teachers, compensators and students",
    "accuracy_by_class": "Accuracy of every class: mean and range over the students of each set",
    "confusion": "Confusion matrices: rows are true classes",
    "calibration": "Calibration: accuracy over confidence",
}
"""Captions of the pictures of a run, by the names of their files."""
_ROBUST_DIGITS = 4


def write_page(run: Run, outputs: Path) -> Path:
    """Write the report of ``run`` into its folder, with the pictures that are there.

    A run that is not finished is reported as far as it has gone.
    """
    page = render(
        "run.html.j2",
        title=title_of(run) if run.record["sets"] else run.name,
        run=run,
        folder=str(from_here(run.folder)),
        verdict=verdict(run),
        level=LEVEL,
        scores=[section for section in (scores_section(run), teachers_section(run)) if section.rows],
        robust=_robust_scores(run),
        command=launch_command(typed_words(run)),
        changed=_changed(run),
        stages=stages_section(run),
        gallery=_gallery(run),
        pictures={name: picture(run.folder, name, FIGURES, title) for name, title in _PICTURES.items()},
        analyses=list(_analyses(run, outputs)),
        details={
            "Settings": settings_section(run),
            "Storage": storage_section(run),
            "Environment": environment_section(run),
        },
    )
    with replaced_whole(run.folder / REPORT, "w") as file:
        file.write(page)
    return run.folder / REPORT


def _changed(run: Run) -> Section:
    """Choices and settings of the command line that may change results."""
    typed = typed_values(typed_words(run))
    return Section(("changed", "to"), [[key, value] for key, value in typed.items() if has_effect(key)])


def _robust_scores(run: Run) -> Section | None:
    """DD-Ranking's scores, if ``infer score`` has written them; without numbers where the file is damaged."""
    path = run.folder / ROBUST_SCORES
    if not path.is_file():
        return None
    columns = ("robust score", "value")
    try:
        written: dict[str, Any] = read_json(path)
        if has_broken_seal(written):
            raise ValueError("it is not what was written")
        scores: dict[str, Any] = written["scores"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        return Section(columns, [], notes=[f"{path.name} cannot be read: {error}. Make it again: infer score"])
    rows = [[name, summary_as_text(scores[name], _ROBUST_DIGITS)] for name in scores]
    note = "DD-Ranking's scores of fractions, mean ± std (n); LRS = ARS = 0.2689: no difference from random images"
    return Section(columns, rows, {"value"}, [note])


def _analyses(run: Run, outputs: Path) -> Iterator[dict[str, Any]]:
    """Title, sentence and picture of every analysis of ``run``'s set."""
    for name, facts in facts_of(run, outputs).items():
        drawn = picture(run.folder, f"{ANALYSES}/{name}", ANALYSES, name)
        yield {"title": name.capitalize(), "sentence": sentence_of(facts), "picture": drawn}


def _gallery(run: Run) -> Gallery | None:
    try:
        return gallery_of(run)
    except Exception as error:  # a run must not fail because of a picture
        log.warning("the images of the report could not be drawn: %s: %s", type(error).__name__, error)
        return None
