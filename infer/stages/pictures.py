"""Pictures of a run as an artefact, which runs with the same content share; drawing them is most of the time of a run
that reuses everything else."""

from collections.abc import Mapping
from typing import Any

from infer.config import Stage
from infer.context import Context
from infer.evaluation.comparison import Evaluation, artefacts_under
from infer.methods.sets.base import DistilledArtefact
from infer.plots.style import drawing
from infer.records.run import Run
from infer.store import Artefact, Workspace
from infer.teachers.network import TrainedNetwork


class Pictures(Artefact):
    """Pictures of some evaluations, each if there is something to show, as PNG and, for a single run, as SVG and PDF.

    For the jobs of a sweep, of which there may be many, SVG and PDF are drawn only by ``infer report JOB``, since they
    take most of the time.
    """

    kind = "reports"
    stage = Stage.report
    version = 2

    def __init__(self, context: Context, evaluations: list[Evaluation]) -> None:
        self._context = context
        self._evaluations = evaluations
        self._with_vectors = context.sweep is None

    @property
    def name(self) -> str:
        return f"{self._context.data.name}-{self._evaluations[0].labelled.name}-pictures"

    @property
    def settings(self) -> Mapping[str, Any]:
        labelled = self._evaluations[0].labelled
        size = f"{labelled.images.size_text}, ipc charged {labelled.images.ipc_charged:.4g}"
        return {
            "title": f"{self._context.data.name}, {labelled.name}: {size}",
            "trials": [[evaluation.labelled.name, evaluation.labelled.protocol] for evaluation in self._evaluations],
            "students": list(self._context.config.student.archs),
            "split": self._context.config.evaluate.split,
            "vectors": self._with_vectors,
            "shown": sorted(artefact.signature for artefact in self._there()),
        }

    @property
    def expected_bytes(self) -> int:
        return 1_800_000 if self._with_vectors else 900_000  # the size of the five pictures of the default run

    def make(self, workspace: Workspace) -> dict[str, Any]:
        optimised = self._optimised()
        for artefact in self._there():
            if isinstance(artefact, TrainedNetwork) or artefact.signature in optimised:
                self._context.obtain(artefact)  # makes a damaged one again, or raises with the command that makes it
        run = Run(self._context.run_folder.name, self._context.run_folder)
        with drawing():
            from infer.plots.run import draw  # matplotlib takes a second

            vectors = "" if self._with_vectors else None
            return {"pictures": draw(run, self._context.store.root, workspace.folder, vectors)}

    def _there(self) -> list[Artefact]:
        """The artefacts that the evaluations use and that are in the store."""
        return [each for each in artefacts_under(self._evaluations) if self._context.store.exists(each)]

    def _optimised(self) -> set[str]:
        """Signatures of the artefacts with curves of an optimisation."""
        images = self._evaluations[0].labelled.images
        if not isinstance(images, DistilledArtefact) or not images.generation:
            return set()
        return {artefact.signature for artefact in images.parents.values()}
