"""Sets for ``infer analyse``, of runs and from folders and files, with the networks that analyses use."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from infer.analyses.base import Analysis
from infer.analyses.boundary import StudentBoundary
from infer.analyses.registry import analysis_of, teachers_of
from infer.commands.composition import settings_of_words
from infer.commands.launch_words import outputs_words
from infer.config import AnalysisName, Stage
from infer.console import Console
from infer.context import Context
from infer.costs import estimate, line_of
from infer.data.paths import expand
from infer.errors import UsageError
from infer.evaluation.comparison import main_evaluation
from infer.evaluation.student import KeptStudent
from infer.files import read_json, write_sealed
from infer.formats.names import AUTO
from infer.methods.imported import imported_set
from infer.methods.registry import distilled_set
from infer.methods.sets.base import DistilledArtefact
from infer.pipeline.prepare import prepare
from infer.records.find import pick_run, require_store
from infer.records.names import RESULT
from infer.records.run import RUNNING, Run
from infer.records.settings import typed_words
from infer.store import Artefact, Store
from infer.teachers.teacher import Teacher
from infer.words import launch_command, shell_line


@dataclass(frozen=True)
class AnalysedSet:
    """A distilled set, with the networks that analyses of it use."""

    images: DistilledArtefact
    probes: list[Teacher]
    run: Run | None
    """The run that made the set; None for a set from a folder or a file."""
    is_own: bool
    """True if the networks are those of the run itself, so that its analyses are the same as those made in the run."""

    @property
    def identity(self) -> Path | str:
        """The folder of the run or, without a run, the signature of the set. Analyses of equal identities are equal."""
        return self.images.signature if self.run is None else self.run.folder.resolve()

    def analysis(
        self, name: AnalysisName, classes: Sequence[str] | None = None, beside: "AnalysedSet | None" = None
    ) -> Analysis:
        """The analysis ``name``; ``classes`` and ``beside`` are as for ``Boundary``.

        Raises UsageError where the set does not fit, and where a student has to be trained and its labels are missing.
        """
        other = beside.images if beside else None
        if other is not None and other.context.data.fingerprint != self.images.context.data.fingerprint:
            raise UsageError(
                f"{self.images.name} and {other.name} come from different data, and {name.value} compares both with "
                "the same images. Give two sets of the same data, or one"
            )
        if name is not AnalysisName.boundary:
            return analysis_of(name, self.images, self.probes)
        shown = [self, *([beside] if beside else [])]
        students = [each.student for each in shown] if self.is_own else []
        found = analysis_of(name, self.images, self.probes, classes, other, students)
        for each in shown:
            if each.has_to_train_for(found):
                each.images.context.require_parents(each.student)
        return found

    @cached_property
    def student(self) -> KeptStudent:
        """The student of the set whose weights are stored, whether it is trained yet or not."""
        return main_evaluation(self.images.context).kept_student

    def has_to_train_for(self, analysis: Analysis) -> bool:
        """True if ``student`` has to be trained for ``analysis``."""
        if not isinstance(analysis, StudentBoundary):
            return False
        return self.student.signature in set(_absent(self.images.context.store, analysis))

    def announce_training(self) -> None:
        """Print that the student is trained now, and the time that this will take."""
        context = self.images.context
        cost = line_of(estimate(context, {Stage.evaluate: [self.student]}, hasty=True))
        context.console.say(
            f"{self.student.name}: no weights of this student are kept, so it is trained again with its seed; {cost}"
        )

    def record(self, analysis: Analysis) -> None:
        """Add ``analysis`` to the record of the run, so that its report shows it and ``infer gc`` keeps it.

        This is not done while the run is running, since it writes its record itself.
        """
        if self.run is None or not self.is_own or self.run.state == RUNNING:
            return
        path = self.run.folder / RESULT
        record = read_json(path)
        named = record.get("analyses", {}) | {analysis.title.value: analysis.signature}
        write_sealed(path, record | {"analyses": named})


def analysed_sets(words: Sequence[str], probe: str | None, outputs: Path) -> list[AnalysedSet]:
    """The sets that ``words`` name, each once, with the teachers of the run ``probe`` or, without it, of their own run.

    Raises UsageError where there is no such set or run, and where there are no networks for a set.
    """
    of_probe = _context_of(pick_run(probe, outputs), outputs) if probe else None
    found = []
    for word in words:
        path = expand(word)
        run = _run_at(path, outputs) or (None if path.exists() else pick_run(word, outputs))
        if run is not None:
            found.append(_of_run(run, of_probe, outputs))
        elif of_probe is not None:
            images = imported_set(of_probe, str(path), AUTO)
            of_probe.store.obtain(images)  # not by the context, whose stages do not include the making of sets
            found.append(AnalysedSet(images, _probes(of_probe, images), None, is_own=False))
        else:
            command = shell_line(["infer", "analyse", "...", word, "--probe", "RUN"])
            raise UsageError(
                f"{word} comes without networks to analyse it with. Name a run on the same data that has "
                f"teachers: {command}"
            )
    return list({each.identity: each for each in found}.values())


def _run_at(path: Path, outputs: Path) -> Run | None:
    """The run whose folder, or whose distilled set, is at ``path``; None where there is none."""
    folder = next((each for each in (path, path.parent) if (each / RESULT).is_file()), None)
    return pick_run(str(folder), outputs) if folder else None


def _of_run(run: Run, of_probe: Context | None, outputs: Path) -> AnalysedSet:
    context = _context_of(run, outputs)
    images = distilled_set(context)
    made = run.manifest.get("signature")
    if made not in (None, images.signature):
        raise UsageError(
            f"the settings or the data of {run.name} now give a different set from the one that it made, since a "
            f"preset or this program has changed. Start it again: {launch_command(typed_words(run))}"
        )
    context.require(images)
    return AnalysedSet(images, _probes(of_probe or context, images), run, is_own=of_probe is None)


def _context_of(run: Run, outputs: Path) -> Context:
    """The context of ``run`` with the stages that make analyses and students."""
    require_store(run.folder, outputs)
    words = [word for word in typed_words(run) if not word.startswith("outputs=")]
    _, config = settings_of_words([*words, *outputs_words(outputs)])
    as_needed = replace(config, stages=[Stage.evaluate, Stage.report], force=[])
    return prepare(as_needed, run.folder, Console(), words)


def _absent(store: Store, artefact: Artefact) -> Iterator[str]:
    """Signatures of the artefacts that have to be made for ``artefact``, itself included."""
    if not store.exists(artefact):
        yield artefact.signature
        for parent in artefact.parents.values():
            yield from _absent(store, parent)


def _probes(context: Context, images: DistilledArtefact) -> list[Teacher]:
    """The teachers of ``context`` that are in the store.

    Raises UsageError where their data set is not that of ``images``.
    """
    data, own = context.data, images.context.data
    if data.fingerprint != own.fingerprint:
        raise UsageError(
            f"--probe: its networks were trained on {data.name}, and {images.name} comes from {own.name}, or from "
            "other images of it. Name a run on the data of that set"
        )
    return [teacher for teacher in teachers_of(context) if context.store.exists(teacher)]
