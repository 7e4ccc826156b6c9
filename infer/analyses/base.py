"""Base classes of analyses, which are artefacts whose numbers are in their records."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from infer.analyses.outputs import Outputs
from infer.analyses.sample import Sample
from infer.config import AnalysisName, Stage
from infer.errors import UsageError
from infer.methods.sets.base import DistilledArtefact
from infer.store import Artefact, Workspace
from infer.teachers.teacher import Teacher


class Analysis(Artefact):
    """Numbers about a distilled set. They are the facts of the record, from which the figure is drawn."""

    kind = "analyses"
    stage = Stage.report
    title: ClassVar[AnalysisName]

    def __init__(self, images: DistilledArtefact) -> None:
        self.images = images

    @property
    def name(self) -> str:
        return f"{self.images.name}-{self.title.value}"

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"analysis": self.title.value}

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return {"images": self.images}

    def make(self, workspace: Workspace) -> dict[str, Any]:
        about = {"analysis": self.title.value, "dataset": self.images.context.data.name, "set": self.images.name}
        return about | self.measure()

    @abstractmethod
    def measure(self) -> dict[str, Any]:
        """The numbers, JSON-ready."""

    def by_role(self, **outputs: Sequence[Outputs]) -> dict[str, Artefact]:
        """``outputs`` of networks as parents, with keys of role and position such as ``set/0``."""
        return {
            f"{role}/{position}": each for role, several in outputs.items() for position, each in enumerate(several)
        }

    def facts(self) -> dict[str, Any]:
        """The numbers in the record; the analysis is made first if it is missing."""
        facts: dict[str, Any] = self.images.context.obtain(self)["facts"]
        return facts


class NetworkAnalysis(Analysis):
    """An analysis of the outputs of trained networks, the probes. Raises UsageError without probes."""

    def __init__(self, images: DistilledArtefact, probes: Sequence[Teacher]) -> None:
        super().__init__(images)
        if not probes:
            raise UsageError(
                f"{self.title.value} looks at {images.name} through trained networks, and there are none. Train "
                "teachers, stages=[squeeze], or take those of another run: "
                f"infer analyse {self.title.value} ... --probe RUN"
            )
        self.probes = list(probes)

    def outputs_on(self, sample: Sample) -> list[Outputs]:
        """The outputs of every probe on ``sample``."""
        return [Outputs(self.images.context, probe, sample) for probe in self.probes]
