"""A run's pictures as an artefact: runs that show the same share them, which is most of what a finished job costs."""

from collections.abc import Mapping
from typing import Any

from infer.config import Stage
from infer.context import Context
from infer.pictures.quiet import quiet_fonts
from infer.store import Artefact, Workspace
from infer.store.artefact import with_ancestors
from infer.trials import Trial


class Pictures(Artefact):
    """``samples.png`` and ``curves.png`` of what the store has of some trials, each if there is something to show."""

    kind = "reports"
    stage = Stage.report

    def __init__(self, context: Context, trials: list[Trial]) -> None:
        self._context = context
        self._trials = trials

    @property
    def name(self) -> str:
        return f"{self._context.data.name}-{self._trials[0].material.name}-pictures"

    @property
    def settings(self) -> Mapping[str, Any]:
        students = [s for trial in self._trials for group in trial.students.values() for s in group]
        rest_on = {a.signature for a in with_ancestors(students) if self._context.store.exists(a)}
        return {
            "title": self._title,
            "trials": [[trial.material.name, trial.material.protocol] for trial in self._trials],
            "students": list(self._context.config.student.archs),
            "split": self._context.config.evaluate.split,
            "shown": sorted(rest_on),
        }

    def make(self, workspace: Workspace) -> dict[str, Any]:
        with quiet_fonts():
            from infer.pictures.curves import curves_of
            from infer.pictures.samples import samples_of
            from infer.pictures.style import save

            figures = {
                "samples.png": samples_of(self._trials[0], self._title),
                "curves.png": curves_of(self._context, self._trials, self._title),
            }
            drawn = {name: figure for name, figure in figures.items() if figure is not None}
            for name, figure in drawn.items():
                save(figure, workspace.folder / name)
        return {"pictures": list(drawn)}

    @property
    def _title(self) -> str:
        """What is shown: data set, method and size."""
        material = self._trials[0].material
        size = f"{material.images.in_words}, ipc charged {material.images.ipc_charged:.4g}"
        return f"{self._context.data.name}, {material.name}: {size}"
