"""Pictures of a run: its distilled set, how every training went, and what its students predict."""

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
"""Makes a picture; None where there is nothing to show."""


def draw(run: Run, outputs: Path, folder: Path, vectors: str | None = FIGURES) -> list[str]:
    """Write the pictures of ``run`` into ``folder``, each if there is something to show, SVG and PDF into its subfolder
    ``vectors``, unless that is None; gives their names without an ending.

    They are drawn from the run's record, its distilled set and the artefacts under ``outputs``, in the style that
    ``infer.plots.style.drawing`` sets. One that fails is left out with a warning.
    """
    if not run.record["sets"]:  # it ended before it knew what it would make
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
    """Data set, method and size of the distilled set."""
    name, main = next(iter(run.record["sets"].items()))
    charged = run.record["storage"]["ipc_charged"]
    return f"{run.setting('dataset.name')}, {name}: {main['size']}, ipc charged {charged:.4g}"
