"""Pictures of a run: its distilled set, the course of its trainings, and the predictions of its students."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from matplotlib.figure import Figure

from infer.plots.curves import curves_of
from infer.plots.predictions import accuracy_by_class, calibration, confusion_matrices
from infer.plots.samples import samples_of
from infer.plots.stored_images import class_names
from infer.plots.style import save_in_all_forms
from infer.records.names import FIGURES
from infer.records.predictions import predictions_of
from infer.records.run import Run

log = logging.getLogger(__name__)
Painter = Callable[[], Figure | None]
"""Function that draws a picture; it returns None where there is nothing to show."""


def draw(run: Run, outputs: Path, folder: Path, vectors: str | None = FIGURES) -> list[str]:
    """Write the pictures of ``run`` into ``folder``, and return their names without extension.

    SVG and PDF files are written into the subfolder ``vectors``, unless it is None. Pictures are drawn from the run's
    record, its distilled set and the artefacts under ``outputs``, within the caller's ``infer.plots.style.drawing``. A
    picture without content is left out, and one that fails is left out with a warning.
    """
    if not run.record["sets"]:  # the run ended before its sets were planned
        return []
    drawn = []
    for name, paint in _painters(run, outputs):
        try:
            figure = paint()
            if figure is not None:
                save_in_all_forms(figure, folder, name, vectors)
                drawn.append(name)
        except Exception as error:
            log.warning("the picture %s could not be drawn: %s: %s", name, type(error).__name__, error)
    return drawn


def _painters(run: Run, outputs: Path) -> Iterator[tuple[str, Painter]]:
    title = title_of(run)
    yield "samples", lambda: samples_of(run, title)
    yield "curves", lambda: curves_of(run, outputs, title)
    yield from _painters_of_predictions(run, outputs)


def _painters_of_predictions(run: Run, outputs: Path) -> Iterator[tuple[str, Painter]]:
    sets = predictions_of(run, outputs)
    if not sets:
        return
    names = class_names(run.manifest)
    on = f"on {run.split}, {next(iter(run.record['per_student']), 'students')}, last epoch"
    yield "accuracy_by_class", lambda: accuracy_by_class(sets, names, f"Accuracy by class {on}")
    yield "confusion", lambda: confusion_matrices(sets, names, f"Confusion {on}")
    yield "calibration", lambda: calibration(sets, f"Calibration {on}")


def title_of(run: Run) -> str:
    """Title with the data set, the method and the size of the distilled set."""
    name, main = next(iter(run.record["sets"].items()))
    charged = run.record["storage"]["ipc_charged"]
    return f"{run.setting('dataset.name')}, {name}: {main['size']}, ipc charged {charged:.4g}"
