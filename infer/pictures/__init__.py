"""The pictures of a run: ``samples.png`` shows what was distilled, ``curves.png`` how every training went."""

import logging
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a sweep's plots share the style below this package, and are drawn without torch
    from infer.context import Context
    from infer.trials import Trial


def draw(context: "Context", trials: "list[Trial]") -> None:
    """Write ``samples.png`` and ``curves.png`` into the run's folder, each if the store has what it shows."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # a first import would tell of its font cache
    from infer.pictures.curves import curves_of
    from infer.pictures.samples import samples_of
    from infer.pictures.style import save

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # class names of any script: boxes will do
        title = _title(trials[0])
        figures = {
            "samples.png": samples_of(trials[0], title),
            "curves.png": curves_of(context, trials, title),
        }
        for name, figure in figures.items():
            if figure is not None:
                save(figure, context.run_folder / name)


def _title(trial: "Trial") -> str:
    """What is shown: data set, method and size."""
    images = trial.material.images
    size = f"{images.in_words}, ipc charged {images.ipc_charged:.4g}"
    return f"{trial.context.data.name}, {trial.material.name}: {size}"
