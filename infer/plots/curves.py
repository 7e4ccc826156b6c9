"""``curves.png``: the course of the training of teachers, compensators and students."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure
from safetensors.numpy import load_file

from infer.files import read_json
from infer.plots.panels import Curve, Panel, Section, sheet
from infer.records.artefacts import StoredArtefact, stored_artefacts
from infer.records.names import CURVES, HISTORY
from infer.records.run import Run

History = Sequence[Mapping[str, float]]
"""A row per epoch: ``epoch``, ``step``, ``train_loss`` and, if the network was tested, scores."""
Curves = Mapping[str, np.ndarray]
"""The ``iteration`` [points] of an optimisation, and its other curves [points, n]."""
Scale = Literal["linear", "percent", "log"]

_GENERATION: dict[str, tuple[str, float, Scale]] = {
    "cross_entropy": ("cross-entropy (nats)", 1, "log"),
    "bn_penalty": ("batch-norm penalty, unweighted", 1, "log"),
    "norm": ("‖u‖ (normalised units)", 1, "linear"),
    "clipped_share": ("clipped pixel values (%)", 100, "percent"),
    "distance": ("rms change (normalised units)", 1, "linear"),
    "saturated_share": ("saturated pixel values (%)", 100, "percent"),
}
"""Curves of an optimisation: label of the y axis, factor that converts to its unit, and scale."""


def curves_of(run: Run, outputs: Path, title: str) -> Figure | None:
    """All curves that the store under ``outputs`` has for ``run``; None where it has none."""
    sections = [section for section in sections_of(run, outputs) if section is not None]
    return sheet(title, sections) if sections else None


def sections_of(run: Run, outputs: Path) -> Iterable[Section | None]:
    """Sections of the teachers, of the optimisation of images, and of the students of each architecture.

    None stands for a section without curves.
    """
    sets = run.record["sets"]
    students = {name: each["students"] for name, each in sets.items()}
    of_students = {s for by_arch in students.values() for several in by_arch.values() for s in several}
    planned = {stage: set(signatures) for stage, signatures in run.plan.items()}
    stored = stored_artefacts(outputs, [*dict.fromkeys(s for several in run.plan.values() for s in several)])
    teachers = {s: artefact for s, artefact in stored.items() if s in planned.get("squeeze", ())}
    yield teacher_section({arch_of(a): _history(a) for a in teachers.values() if HISTORY in a.files}, run.split)
    optimised = [a for s, a in stored.items() if s in planned.get("generate", ()) and CURVES in a.files]
    yield _generation(run, optimised, {s: arch_of(teacher) for s, teacher in teachers.items()})
    histories = {s: _history(stored[s]) for s in stored if s in of_students}
    for arch in dict.fromkeys(arch for by_arch in students.values() for arch in by_arch):
        found = {
            name: [histories[s] for s in by_arch.get(arch, ()) if s in histories] for name, by_arch in students.items()
        }
        yield student_section(arch, {name: several for name, several in found.items() if several}, run.split)


def teacher_section(histories: Mapping[str, History], split: str) -> Section | None:
    """Loss and accuracy of every teacher by architecture, over the epochs; None without teachers."""
    if not histories:
        return None
    runs = {arch: [history] for arch, history in histories.items()}
    return Section("squeeze: teachers", _training_panels(runs, "epoch", "training loss", split))


def generation_section(by_teacher: Mapping[str, Curves], optimised: str, each: str) -> Section | None:
    """Losses and norms of an optimisation by the teacher's architecture; None without curves.

    ``optimised`` is the name of the things optimised, ``each`` that of the things with a curve each, both in the
    plural.
    """
    if not by_teacher:
        return None
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
    spread = f", median and range over {count} {each}" if count > 1 else ""
    return Section(f"generate: {optimised} by teacher{spread}", panels)


def student_section(arch: str, histories: Mapping[str, Sequence[History]], split: str) -> Section | None:
    """Loss and accuracy by training set over the steps, with one history per repeat; None without students."""
    if not histories:
        return None
    repeats = max(map(len, histories.values()))
    spread = f", mean and range over {repeats} repeats" if repeats > 1 else ""
    panels = _training_panels(histories, "step", "training loss on own labels", split)
    return Section(f"evaluate: students {arch}{spread}", panels)


def _training_panels(runs: Mapping[str, Sequence[History]], x_key: str, loss: str, split: str) -> list[Panel]:
    """Panels of the loss, labelled ``loss``, and of the accuracy; a panel without values is left out."""
    kinds: list[tuple[str, str, Scale]] = [
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
    """Mean and range of ``y_key`` over ``histories``, at the epochs that have it; None where no epoch has it."""
    rows = [[row for row in history if y_key in row] for history in histories]
    if not rows[0]:
        return None
    values = np.array([[row[y_key] for row in history] for history in rows])
    return Curve.mean(label, np.array([row[x_key] for row in rows[0]]), values.T)


def _generation(run: Run, optimised: Sequence[StoredArtefact], archs: Mapping[str, str]) -> Section | None:
    """Section of all curves of ``optimised`` that belong to the run's set; ``archs`` are the teachers' by signature."""
    sets: dict[str, Any] = run.record["sets"]
    outline = next(iter(sets.values()))["generation"] if sets else None
    if not outline:
        return None
    groups: dict[str, list[Curves]] = {}
    for artefact in optimised:
        teacher = artefact.record["parents"]["teacher"]
        groups.setdefault(archs.get(teacher, teacher[:8]), []).append(load_file(artefact.file(CURVES)))
    by_teacher = {arch: _side_by_side(several, outline["count"]) for arch, several in groups.items()}
    return generation_section(by_teacher, outline["optimised"], outline["each"])


def _side_by_side(several: Sequence[Curves], count: int) -> Curves:
    """The first ``count`` curves of several batches, concatenated."""
    keys = [key for key in several[0] if key != "iteration"]
    together = {key: np.concatenate([one[key] for one in several], axis=1)[:, :count] for key in keys}
    return {"iteration": several[0]["iteration"], **together}


def arch_of(trained: StoredArtefact) -> str:
    """The architecture of a teacher or student."""
    return str(trained.record["settings"]["arch"])


def _history(trained: StoredArtefact) -> History:
    history: History = read_json(trained.file(HISTORY))
    return history
