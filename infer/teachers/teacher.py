"""Teachers: networks trained on the whole training data, or read from published weights."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from torch import Tensor, nn

from infer.config import Stage
from infer.config.teachers import TeachersConfig
from infer.data.imagenet import imagenet_outputs
from infer.environment import Precision
from infer.models import build, signature_settings
from infer.models.checkpoints import fitted_weights
from infer.models.pretrained import Weights, weights_for
from infer.normalisation import Normalisation
from infer.store import Workspace
from infer.teachers.network import TrainedNetwork
from infer.training.growth import Growth
from infer.training.images import Images, LabelledImages
from infer.training.objectives import hard_label_objective
from infer.training.plan import Plan
from infer.work import Work


class Teacher(TrainedNetwork):
    """A network trained with hard labels on the whole training data, or read from the file or published weights that
    the setting ``teachers.checkpoints`` names."""

    kind = "teachers"
    stage = Stage.squeeze
    role = "teacher"

    @property
    def name(self) -> str:
        return f"{self._context.data.name}-{self.arch}"

    @property
    def settings(self) -> Mapping[str, Any]:
        context = self._context
        common = {"arch": self.arch, "data": context.data.fingerprint} | self.normalisation.settings_beside(
            context.data.normalisation
        )
        if self.weights:
            return common | {"weights": dict(self.weights.identity)}
        return (
            common
            | signature_settings(self.arch)
            | {
                "training": self._training.recipe(),
                "precision": self.precision,
                "seed": context.config.seed,
            }
        )

    @property
    def precision(self) -> Precision:
        return self._context.teacher_precision(self.arch)

    @cached_property
    def weights(self) -> Weights | None:
        """The published weights from which the network is read; None where it is trained."""
        given = self._context.config.teachers.checkpoint_of(self.arch)
        return None if given is None else weights_for(self.arch, given)

    @property
    def normalisation(self) -> Normalisation:
        """The normalisation that the network was trained with."""
        return self._context.data.normalised_by(self._context.config.teachers.normalise)

    def fitted(self, weights: Weights, network: nn.Module) -> dict[str, Tensor]:
        """``weights`` under the names of ``network``. Raises UsageError where they do not fit."""
        outputs = imagenet_outputs(self._context.data.classes)
        return fitted_weights(network.state_dict(), weights.read(), weights.source, outputs)

    @property
    def work(self) -> Work:
        if self.weights:
            return Work(self.test_passes())
        plan = self.plan  # growing images are a kind of their own: small images take more time per pixel
        return Work(self.passes(plan), name=f"images from {plan.growth.start_size}" if plan.growth else "")

    @property
    def expected_bytes(self) -> int:
        return self.weight_bytes

    @property
    def plan(self) -> Plan:
        """Length and batches of the training, if the network is trained."""
        return _planned(self._training, self._num_images)

    @cached_property
    def _training(self) -> TeachersConfig:
        """Settings of the training, with ``start_size=None`` where no epoch would show smaller images.

        The signature then is that without progressive resizing.
        """
        given, size = self._context.config.teachers, self._context.data.image_size
        grows = _planned(given, self._num_images).size_in(0, size) != size  # images are smallest in the first epoch
        return given if grows else replace(given, start_size=None)

    @property
    def _num_images(self) -> int:
        return sum(self._context.data.train_counts)

    def make(self, workspace: Workspace) -> dict[str, Any]:
        return self._train(workspace) if self.weights is None else self._read(self.weights, workspace)

    def _read(self, weights: Weights, workspace: Workspace) -> dict[str, Any]:
        data = self._context.data
        network = build(self.arch, data.num_classes, data.image_size)
        network.load_state_dict(self.fitted(weights, network))
        scores = self.test(network, workspace)
        self.keep(network, workspace)
        return {"scores": scores, "source": weights.source}

    def _train(self, workspace: Workspace) -> dict[str, Any]:
        context, data, settings = self._context, self._context.data, self._context.config.teachers
        plan = self.plan
        network, result = self.train(
            workspace,
            task=f"squeeze {self.arch}",
            stream=(context.config.seed, "squeeze", self.arch),
            images=Images(data.train.images, self.normalisation),
            objective=hard_label_objective(data.train.targets, settings.label_smoothing, context.device),
            plan=plan,
        )
        self.keep(network, workspace)
        return {"scores": result.scores, "epochs": plan.epochs, "steps": result.steps}

    def as_seen(self, images: LabelledImages) -> LabelledImages:
        """``images`` with the normalisation of the network."""
        return images.renormalised(self.normalisation)

    @property
    def top1(self) -> float:
        """Accuracy on the test split after the last epoch, in percent."""
        top1: float = self.facts["scores"]["test/top1"]
        return top1


def _planned(settings: TeachersConfig, num_images: int) -> Plan:
    """Plan of a training with ``settings``."""
    growth = None
    if settings.start_size is not None:
        growth = Growth(settings.start_size, settings.grow_from, settings.full_size_from)
    return Plan(settings, num_images, growth=growth)
