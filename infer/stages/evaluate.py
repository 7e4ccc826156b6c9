"""Evaluate: train students on a labelled set and test them on real images, several seeds per architecture."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from infer.config import Stage
from infer.config.evaluate import Mix
from infer.context import Context
from infer.labels.base import Labels
from infer.methods.base import TrainingSet
from infer.statistics import Summary, summarise
from infer.store import Artefact, Workspace
from infer.trained import TrainedNetwork
from infer.training.plan import Plan


@dataclass(frozen=True)
class Material:
    """What students are trained on: images, their labels, and for how long."""

    name: str
    images: TrainingSet
    labels: Labels
    protocol: str
    """The name that stands beside its numbers."""
    steps: int | None = None
    """Updates, where they are those of another material; None: the protocol's own length."""
    leftover_bytes: int = 0
    """Of the budget that it shares with another material, the bytes it could not use."""


class Student(TrainedNetwork):
    """One student: an architecture trained from one seed on one material. Its scores are kept, its weights are not."""

    kind = "evals"
    stage = Stage.evaluate

    def __init__(self, context: Context, material: Material, arch: str, repeat: int) -> None:
        super().__init__(context, arch)
        self._material = material
        self.repeat = repeat
        self.plan = student_plan(context, material)

    @property
    def name(self) -> str:
        return f"{self._material.images.name}-{self._material.labels.mode}-{self.arch}-{self.repeat}"

    @property
    def settings(self) -> Mapping[str, Any]:
        context, plan = self._context, self.plan
        # named only when used, so that students older than these settings keep their names
        later = {"test_from": plan.settings.test_from, "cutmix": plan.cutmix}
        return {
            "arch": self.arch,
            "data": context.data.fingerprint,
            "training": plan.settings.recipe() | {"label_smoothing": None},  # the labels say whether they use it
            "test_every": plan.settings.test_every,
            "mix_alpha": plan.mix_alpha,
            "steps": plan.steps,
            "precision": context.precision,
            "seed": context.config.seed,
            "repeat": self.repeat,
            **{key: value for key, value in later.items() if value},
            "images": dict(self._material.images.student_settings),
            "labels": dict(self._material.labels.student_settings),
        }

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return _artefacts("images", self._material.images) | _artefacts("labels", self._material.labels)

    def make(self, workspace: Workspace) -> dict[str, Any]:
        _, result = self.train(
            workspace,
            task=f"evaluate {self._material.name}, {self.arch} #{self.repeat + 1}",
            unit=(self._context.config.seed, "evaluate", self.arch, self.repeat),
            images=self._material.images.images(),
            objective=self._material.labels.objective(self._context.device),
            plan=self.plan,
        )
        return {
            "scores": result.scores,
            "best": result.best,
            "steps": result.steps,
            "samples_seen": result.samples_seen,
            "seconds": result.seconds,
        }


def student_plan(context: Context, material: Material) -> Plan:
    """The length and schedule of a student on ``material``."""
    protocol = context.config.evaluate
    if protocol.divide_epochs_by_blocks:
        blocks = material.images.num_images // material.images.stored_images
        protocol = replace(protocol, epochs=max(1, round(protocol.epochs / blocks)))
    alpha = protocol.mix_alpha if protocol.mix is Mix.mixup else None
    return Plan(protocol, material.images.num_images, steps=material.steps, mix_alpha=alpha)


def students_of(context: Context, material: Material) -> dict[str, list[Student]]:
    """The students of one material, by architecture; nothing is trained yet."""
    repeats = range(context.config.evaluate.repeats)
    return {arch: [Student(context, material, arch, r) for r in repeats] for arch in context.config.student.archs}


def metrics_of(students: list[Student]) -> dict[str, Summary]:
    """Mean, spread and values of every score over the students of one architecture; the last epoch's lead."""
    facts = [student.facts for student in students]
    last = {key: summarise([fact["scores"][key] for fact in facts]) for key in facts[0]["scores"]}
    best = {key: summarise([fact["best"][key]["value"] for fact in facts]) for key in facts[0]["best"]}
    return last | best


def _artefacts(role: str, source: TrainingSet | Labels) -> dict[str, Artefact]:
    """``source`` itself where it is stored, else what it is made from."""
    return {role: source} if isinstance(source, Artefact) else dict(source.parents)
