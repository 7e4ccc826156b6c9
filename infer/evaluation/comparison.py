"""Comparison of a run's distilled set with baselines of equal size, whose students make equally many updates."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from typing import Any

from infer.config import AnalysisName, Baseline, BaselineBudget
from infer.config.labeling import LabelMode
from infer.config.protocols import protocol_name, protocol_settings
from infer.context import Context
from infer.evaluation.protocol import student_plan
from infer.evaluation.random_images import random_images
from infer.evaluation.student import KeptStudent, LabelledSet, Student, metrics_of, students_of
from infer.files import digest_of
from infer.labels.registry import labels_of
from infer.methods.registry import distilled_set
from infer.methods.sets.base import TrainingSet
from infer.methods.sets.real_images import FullSet
from infer.store import Artefact
from infer.store.artefact import with_ancestors
from infer.teachers.teacher import Teacher
from infer.training.plan import Plan

_LABELS_OF = {
    Baseline.random_hard: LabelMode.hard,
    Baseline.random_static: LabelMode.static,
    Baseline.random_dynamic: LabelMode.dynamic,
    Baseline.random_fkd: LabelMode.fkd,
    Baseline.full: LabelMode.hard,
}


@dataclass(frozen=True)
class Evaluation:
    """A labelled set and the students trained on it."""

    context: Context
    labelled: LabelledSet
    keeps_student: bool = False
    """True if the weights of the first student of the first architecture are kept."""

    @cached_property
    def students(self) -> dict[str, list[Student]]:
        """Students by architecture, in the order of ``student.archs``."""
        students = students_of(self.context, self.labelled)
        if self.keeps_student:
            students[self.kept_student.arch][0] = self.kept_student
        return students

    @cached_property
    def kept_student(self) -> KeptStudent:
        """The first student of the first architecture, whose weights are kept for analyses."""
        return KeptStudent(self.context, self.labelled, self.context.config.student.archs[0], 0)

    @property
    def all_students(self) -> list[Student]:
        """The students of all architectures."""
        return [student for several in self.students.values() for student in several]

    @property
    def is_done(self) -> bool:
        """True if every student is trained."""
        return all(map(self.context.store.exists, self.all_students))

    @cached_property
    def plan(self) -> Plan:
        """Plan of the students; only the learning rate may differ between architectures."""
        labelled = self.labelled
        return student_plan(self.context, labelled.images, labelled.steps, overrides=labelled.labels.overrides)

    @property
    def overrides(self) -> dict[str, Any]:
        """Settings with which the labels replace those of the protocol, by their full keys; JSON-ready."""
        replaced = self.labelled.labels.overrides.items()
        return {f"evaluate.{name}": value.value if isinstance(value, Enum) else value for name, value in replaced}

    @property
    def protocol_facts(self) -> dict[str, str]:
        """The protocol's name and a hash of its settings, as in records."""
        config = self.context.config
        length = {} if config.sweep.student_steps is None else {"student_steps": config.sweep.student_steps}
        settings = protocol_settings(config) | dict(self.labelled.labels.overrides) | length
        return {"protocol": self.labelled.protocol, "protocol_settings_sha256": digest_of(settings)}

    @property
    def num_steps(self) -> int:
        """Number of updates of each student."""
        return self.plan.total_steps

    @property
    def samples_seen(self) -> int:
        """Number of images shown to each student, with repetitions."""
        return self.plan.samples_seen

    def outcome(self) -> dict[str, Any]:
        """Scores of the students, which must all be trained, and the storage of the set; JSON-ready."""
        reported = self.context.config.evaluate.reported
        per_student = {arch: metrics_of(students, reported) for arch, students in self.students.items()}
        leading = next(iter(per_student))
        return {
            "metrics": per_student[leading],
            "per_student": per_student,
            "storage": self.storage(),
            **self.protocol_facts,
            "student_steps": self.num_steps,
            "samples_seen": self.samples_seen,
        }

    def storage(self) -> dict[str, Any]:
        """Bytes of the set's tensors, labels included, and their ratio to the uint8 training data in percent."""
        images, labels, dataset = self.labelled.images, self.labelled.labels, self.context.data.train_bytes
        total = images.bytes.total + labels.label_bytes
        return {
            "natural_bytes": images.bytes.natural,
            "compensator_bytes": images.bytes.compensators,
            "label_bytes": labels.label_bytes,
            "total_bytes": total,
            "leftover_bytes": self.labelled.leftover_bytes,
            "ipc_charged": images.ipc_charged,
            "dataset_bytes": dataset,
            "compression_ratio": 100 * total / dataset,
        }


def main_evaluation(context: Context) -> Evaluation:
    """The distilled set with its labels, under the run's protocol.

    The weights of a student are kept where ``analyses`` names one that needs them, even if the run does not reach the
    stage report, so that a later ``stages=[report]`` finds them.
    """
    images = distilled_set(context)
    steps = context.config.sweep.student_steps
    evaluation = _evaluation(context, context.config.method.name, images, context.config.labeling.mode, steps)
    return replace(evaluation, keeps_student=AnalysisName.boundary in context.config.analyses)


def baseline_evaluations(context: Context, main: Evaluation, baselines: list[Baseline]) -> list[Evaluation]:
    """The ``baselines`` in all sizes, without those whose set and labels are those of ``main``."""
    budgets = context.config.baseline_budgets
    sized = [(each, budget) for each in baselines for budget in (budgets if each is not Baseline.full else budgets[:1])]
    evaluations = [_baseline_evaluation(context, main, baseline, budget) for baseline, budget in sized]
    return [evaluation for evaluation in evaluations if _content(evaluation) != _content(main)]


def artefacts_under(evaluations: Iterable[Evaluation]) -> list[Artefact]:
    """The students of ``evaluations`` and all artefacts that they depend on, each once, parents before children."""
    return with_ancestors(student for evaluation in evaluations for student in evaluation.all_students)


def _content(evaluation: Evaluation) -> tuple[str, str]:
    return evaluation.labelled.images.name, evaluation.labelled.labels.mode


def _baseline_evaluation(context: Context, main: Evaluation, baseline: Baseline, budget: BaselineBudget) -> Evaluation:
    """A baseline under the same protocol, whose students make as many updates as those of ``main``."""
    mode, steps = _LABELS_OF[baseline], main.num_steps
    if baseline is Baseline.full:
        return _evaluation(context, baseline.value, FullSet(context), mode, steps)
    total_bytes = main.storage()["total_bytes"]
    images, leftover = random_images(context, budget, mode, main.labelled.images, total_bytes, steps)
    name = baseline.value if budget is BaselineBudget.bytes else f"{baseline.value}@{budget.value}"
    return _evaluation(context, name, images, mode, steps, leftover)


def _evaluation(
    context: Context, name: str, images: TrainingSet, mode: LabelMode, steps: int | None, leftover_bytes: int = 0
) -> Evaluation:
    """``images`` with labels of ``mode`` and the students trained on them."""
    teachers = [Teacher(context, arch) for arch in context.config.teachers_that_label]

    def plan_with(overrides: Mapping[str, Any]) -> Plan:
        return student_plan(context, images, steps, overrides=overrides)

    labels = labels_of(context, images, mode, teachers, plan_with)
    protocol = protocol_name(context.config, mode, is_overridden=bool(labels.overrides))
    return Evaluation(context, LabelledSet(name, images, labels, protocol, steps, leftover_bytes))
