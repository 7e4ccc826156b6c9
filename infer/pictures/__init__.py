"""The pictures of a run: ``samples.png`` shows what was distilled, ``curves.png`` how every training went."""

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a sweep's plots share the style below this package, and are drawn without torch
    from infer.context import Context
    from infer.evaluation.comparison import Evaluation


def draw(context: "Context", evaluations: "list[Evaluation]") -> None:
    """Put ``samples.png`` and ``curves.png`` into the run's folder, each if the store has what it shows."""
    from infer.pictures.drawn import Pictures

    drawn = context.folder(Pictures(context, evaluations))
    for picture in drawn.glob("*.png"):
        shutil.copyfile(picture, context.run_folder / picture.name)
