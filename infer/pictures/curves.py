"""``curves.png``: how the trainings of teachers, compensators and students went."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from infer.context import Context
from infer.evaluation.comparison import Evaluation
from infer.methods.sets.base import DistilledArtefact, GenerationCurves
from infer.pictures.panels import Curve, Panel, Section, sheet
from infer.store.artefact import with_ancestors
from infer.teachers.teacher import Teacher

History = Sequence[Mapping[str, float]]
"""A record per epoch, see ``infer.training.loop.FitResult.history``."""

_GENERATION = {
    "cross_entropy": ("cross-entropy (nats)", 1, "log"),
    "bn_penalty": ("batch-norm penalty, unweighted", 1, "log"),
    "norm": ("‖u‖ (normalised units)", 1, "linear"),
    "clipped_share": ("clipped pixel values (%)", 100, "percent"),
    "distance": ("rms change (normalised units)", 1, "linear"),
    "saturated_share": ("saturated pixel values (%)", 100, "percent"),
}
"""The curves of an optimisation: the label of their axis, the factor to its unit, its scale."""


def curves_of(context: Context, evaluations: Sequence[Evaluation], title: str) -> Figure | None:
    """All curves that the store has for ``evaluations``; None when it has none."""
    split = context.config.evaluate.split.value
    sections = [
        teacher_section(_teacher_histories(context, evaluations), split),
        generation_section(_generation_curves(evaluations[0])),
        *(
            student_section(arch, _student_histories(context, evaluations, arch), split)
            for arch in context.config.student.archs
        ),
    ]
    drawn = [section for section in sections if section is not None]
    return sheet(title, drawn) if drawn else None


def teacher_section(histories: Mapping[str, History], split: str) -> Section | None:
    """Loss and accuracy of every teacher, by architecture, over its epochs; None without teachers."""
    if not histories:
        return None
    runs = {arch: [history] for arch, history in histories.items()}
    return Section("squeeze: teachers", _training_panels(runs, "epoch", "training loss", split))


def generation_section(curves: GenerationCurves | None) -> Section | None:
    """What the optimisation did, by the teacher's architecture; None without one."""
    if curves is None:
        return None
    by_teacher = {arch: {key: np.asarray(one[key]) for key in one} for arch, one in curves.by_teacher.items()}
    count = max(one["cross_entropy"].shape[1] for one in by_teacher.values())
    panels = [
        Panel(
            "iteration",
            label,
            [Curve.median(arch, one["iteration"], factor * one[key]) for arch, one in by_teacher.items()],
            scale,
        )
        for key, (label, factor, scale) in _GENERATION.items()
        if all(key in one for one in by_teacher.values())
    ]
    spread = f", median and range over {count} {curves.each}" if count > 1 else ""
    return Section(f"generate: {curves.optimised} by teacher{spread}", panels)


def student_section(arch: str, histories: Mapping[str, Sequence[History]], split: str) -> Section | None:
    """Loss and accuracy by evaluation, one history per repeat, over the steps; None without students."""
    if not histories:
        return None
    repeats = max(map(len, histories.values()))
    spread = f", mean and range over {repeats} repeats" if repeats > 1 else ""
    panels = _training_panels(histories, "step", "training loss on own labels", split)
    return Section(f"evaluate: students {arch}{spread}", panels)


def _training_panels(runs: Mapping[str, Sequence[History]], x_key: str, loss: str, split: str) -> list[Panel]:
    """Loss, named ``loss``, and accuracy; each left out when no history has it."""
    kinds = [
        ("train_loss", f"{loss} (nats)", "log"),
        (f"{split}/top1", f"{split} top-1 accuracy (%)", "percent"),
    ]
    panels = []
    for key, label, scale in kinds:
        curves = [_curve(name, histories, x_key, key) for name, histories in runs.items()]
        there = [curve for curve in curves if curve is not None]
        if there:
            panels.append(Panel(x_key, label, there, scale))
    return panels


def _curve(label: str, histories: Sequence[History], x_key: str, y_key: str) -> Curve | None:
    """The mean and range of ``y_key`` over ``histories``, at the epochs that have it."""
    rows = [[row for row in history if y_key in row] for history in histories]
    if not rows[0]:
        return None
    values = np.array([[row[y_key] for row in history] for history in rows])
    return Curve.mean(label, np.array([row[x_key] for row in rows[0]]), values.T)


def _teacher_histories(context: Context, evaluations: Sequence[Evaluation]) -> dict[str, History]:
    """Of every teacher that a evaluation rests on and that is there."""
    students = [next(iter(evaluation.students.values()))[0] for evaluation in evaluations]
    teachers = {artefact.arch: artefact for artefact in with_ancestors(students) if isinstance(artefact, Teacher)}
    return {arch: teacher.history() for arch, teacher in teachers.items() if context.store.exists(teacher)}


def _generation_curves(evaluation: Evaluation) -> GenerationCurves | None:
    """Those of a distilled set; real images have none."""
    images = evaluation.labelled.images
    return images.generation_curves() if isinstance(images, DistilledArtefact) else None


def _student_histories(context: Context, evaluations: Sequence[Evaluation], arch: str) -> dict[str, list[History]]:
    """By evaluation, the histories of the students that are there."""
    found = {
        evaluation.labelled.name: [
            student.history() for student in evaluation.students[arch] if context.store.exists(student)
        ]
        for evaluation in evaluations
    }
    return {name: histories for name, histories in found.items() if histories}
