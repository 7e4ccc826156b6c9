"""Students: networks trained on a labelled set and tested on real images, with several seeds per architecture."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from infer.config import Stage
from infer.config.evaluate import Reported
from infer.context import Context
from infer.environment import Precision
from infer.evaluation.protocol import as_tested, pixel_settings, student_normalisation, student_plan
from infer.labels.base import Labels, artefacts_of
from infer.methods.sets.base import TrainingSet
from infer.models import signature_settings
from infer.normalisation import Normalisation
from infer.records.names import PREDICTIONS
from infer.records.statistics import Summary, summarise
from infer.store import Artefact, Workspace
from infer.store.files import save_tensors
from infer.teachers.network import TrainedNetwork
from infer.training.images import LabelledImages
from infer.training.plan import Plan
from infer.training.scoring import TestOutcome
from infer.work import Work


@dataclass(frozen=True)
class LabelledSet:
    """Images with labels, protocol and length of training, which determine a student up to architecture and seed."""

    name: str
    images: TrainingSet
    labels: Labels
    protocol: str
    """Name of the protocol, for records."""
    steps: int | None = None
    """Number of updates in place of the protocol's length, for a set that is compared with another; None: the
    protocol's length."""
    leftover_bytes: int = 0
    """Bytes of the storage budget that the set does not use."""


class Student(TrainedNetwork):
    """A network of one architecture, trained on a labelled set with one seed. Its weights are not kept."""

    kind = "evals"
    stage = Stage.evaluate
    role = "student"

    def __init__(self, context: Context, labelled: LabelledSet, arch: str, repeat: int) -> None:
        super().__init__(context, arch)
        self._labelled = labelled
        self.repeat = repeat
        self._plan = student_plan(context, labelled.images, labelled.steps, arch, labelled.labels.overrides)

    @property
    def name(self) -> str:
        return f"{self._labelled.images.name}-{self._labelled.labels.mode}-{self.arch}-{self.repeat}"

    @property
    def plan(self) -> Plan:
        return self._plan

    @property
    def precision(self) -> Precision:
        return self._context.student_precision(self.arch)

    @property
    def normalisation(self) -> Normalisation:
        return student_normalisation(self._context)

    @property
    def settings(self) -> Mapping[str, Any]:
        context, plan = self._context, self.plan
        # settings that are not used are left out, so that students that are older than them keep their signatures
        later = {"test_from": plan.settings.test_from, "cutmix": plan.cutmix}
        return {
            **signature_settings(self.arch),
            "data": context.data.fingerprint,
            "training": plan.settings.recipe() | {"label_smoothing": None},  # named by the labels that use it
            "test_every": plan.settings.test_every,
            "mix_alpha": plan.mix_alpha,
            "steps": plan.steps,
            "precision": self.precision,
            "seed": context.config.seed,
            "repeat": self.repeat,
            **{key: value for key, value in later.items() if value},
            **pixel_settings(context),
            "images": dict(self._labelled.images.student_settings),
            "labels": dict(self._labelled.labels.student_settings),
        }

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return artefacts_of("images", self._labelled.images) | artefacts_of("labels", self._labelled.labels)

    @property
    def work(self) -> Work:
        return Work([*self.passes(self.plan), *self._labelled.labels.passes(self.plan)])

    def make(self, workspace: Workspace) -> dict[str, Any]:
        return self._trained(workspace)[1]

    def _trained(self, workspace: Workspace) -> tuple[nn.Module, dict[str, Any]]:
        """The trained network, and facts for its record."""
        network, result = self.train(
            workspace,
            task=f"evaluate {self._labelled.name}, {self.arch} #{self.repeat + 1}",
            stream=(self._context.config.seed, "evaluate", self.arch, self.repeat),
            images=self._labelled.images.images().renormalised(self.normalisation),
            objective=self._labelled.labels.objective(self._context.device, self.normalisation),
            plan=self.plan,
            draws=self._labelled.labels.draws,
        )
        save_tensors(workspace.folder / PREDICTIONS, _predictions(result.tests))
        return network, {
            "scores": result.scores,
            "best": result.best,
            "steps": result.steps,
            "samples_seen": result.samples_seen,
            "seconds": result.seconds,
        }

    def as_seen(self, images: LabelledImages) -> LabelledImages:
        """``images`` with the normalisation and the enlargement of the protocol."""
        return as_tested(self._context, images)


class KeptStudent(Student):
    """A student whose weights after the last epoch are kept.

    Its random numbers, weights and scores are those of the ``Student``; its signature has an additional key.
    """

    @property
    def settings(self) -> Mapping[str, Any]:
        return {**super().settings, "weights": "kept"}

    @property
    def expected_bytes(self) -> int:
        return self.weight_bytes

    def make(self, workspace: Workspace) -> dict[str, Any]:
        network, facts = self._trained(workspace)
        self.keep(network, workspace)
        return facts


def _predictions(tests: Mapping[str, TestOutcome]) -> dict[str, Tensor]:
    """Targets and predicted classes, int32 [N], and confidences, float32 [N], of each split."""
    tensors = {}
    for split, outcome in tests.items():
        tensors[f"{split}.targets"] = outcome.targets.to(torch.int32)
        tensors[f"{split}.predicted"] = outcome.predicted.to(torch.int32)
        tensors[f"{split}.confidence"] = outcome.confidence
    return tensors


def students_of(context: Context, labelled: LabelledSet) -> dict[str, list[Student]]:
    """The students of a labelled set by architecture, not trained yet."""
    repeats = range(context.config.evaluate.repeats)
    return {arch: [Student(context, labelled, arch, r) for r in repeats] for arch in context.config.student.archs}


def metrics_of(students: list[Student], reported: Reported) -> dict[str, Summary]:
    """Mean, standard deviation and values of every score over the students of one architecture.

    With ``reported=last``, ``test/top1`` is that of the last epoch, beside ``test/top1_best_epoch``. With
    ``reported=best`` it is that of the best epoch, and ``test/top1_last_epoch`` is added.
    """
    facts = [student.facts for student in students]
    last = {key: summarise([fact["scores"][key] for fact in facts]) for key in facts[0]["scores"]}
    best = {
        f"{key}_best_epoch": summarise([fact["best"][f"{key}_best_epoch"]["value"] for fact in facts]) for key in last
    }
    if reported is Reported.last:
        return last | best
    leading = {key: best[f"{key}_best_epoch"] for key in last}
    return leading | best | {f"{key}_last_epoch": score for key, score in last.items()}
