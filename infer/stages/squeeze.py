"""Squeeze: train or read the teachers, one per architecture of the ensemble, and check that they know the classes."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from torch import Tensor, nn

from infer.config import Stage
from infer.context import Context
from infer.data.imagenet import imagenet_outputs
from infer.errors import RunError
from infer.models import build, signature_settings
from infer.models.checkpoints import fitted_weights
from infer.models.pretrained import Weights, weights_for
from infer.store import Workspace
from infer.store.files import load_tensors, save_tensors
from infer.trained import TrainedNetwork
from infer.training.images import Images, LabelledImages, UnitChange, Units
from infer.training.objectives import hard_label_objective
from infer.training.plan import Plan
from infer.units import data_units, unit_settings, units_of

_WEIGHTS = "model.safetensors"


class Teacher(TrainedNetwork):
    """A network trained with hard labels on the whole training data, or read as ``teachers.checkpoints`` says."""

    kind = "teachers"
    stage = Stage.squeeze

    @property
    def name(self) -> str:
        return f"{self._context.data.name}-{self.arch}"

    @property
    def settings(self) -> Mapping[str, Any]:
        context = self._context
        common = {"arch": self.arch, "data": context.data.fingerprint} | unit_settings(self.units, context.data)
        if self.weights:
            return common | {"weights": dict(self.weights.identity)}
        return (
            common
            | signature_settings(self.arch)
            | {
                "training": context.config.teachers.recipe(),
                "precision": context.precision,
                "seed": context.config.seed,
            }
        )

    @cached_property
    def weights(self) -> Weights | None:
        """The weights that it is read from; None when it is trained."""
        given = self._context.config.teachers.checkpoint_of(self.arch)
        return None if given is None else weights_for(self.arch, given)

    @property
    def units(self) -> Units:
        """What the pixels are normalised with that the network itself sees, the one it was trained on."""
        return units_of(self._context.config.teachers.normalise, self._context.data)

    def fitted(self, network: nn.Module) -> dict[str, Tensor]:
        """The weights that it is read from, under the names of ``network``; UsageError where they do not fit."""
        outputs = imagenet_outputs(self._context.data.classes)
        return fitted_weights(network.state_dict(), self.weights.read(), self.weights.source, outputs)

    def make(self, workspace: Workspace) -> dict[str, Any]:
        return self._read(workspace) if self.weights else self._train(workspace)

    def _read(self, workspace: Workspace) -> dict[str, Any]:
        data = self._context.data
        network = build(self.arch, data.num_classes, data.image_size)
        network.load_state_dict(self.fitted(network))
        scores = self.test(network, workspace)
        save_tensors(workspace.folder / _WEIGHTS, network.state_dict())
        return {"scores": scores, "source": self.weights.source}

    def _train(self, workspace: Workspace) -> dict[str, Any]:
        context, data, settings = self._context, self._context.data, self._context.config.teachers
        plan = Plan(settings, num_images=len(data.train.targets))
        network, result = self.train(
            workspace,
            task=f"squeeze {self.arch}",
            unit=(context.config.seed, "squeeze", self.arch),
            images=Images(data.train.images, *self.units),
            objective=hard_label_objective(data.train.targets, settings.label_smoothing, context.device),
            plan=plan,
        )
        save_tensors(workspace.folder / _WEIGHTS, network.state_dict())
        return {"scores": result.scores, "epochs": plan.epochs, "steps": result.steps}

    def test_images(self) -> dict[str, LabelledImages]:
        """What it is tested on, in the network's own units."""
        return {name: images.renormalised(self.units) for name, images in super().test_images().items()}

    @property
    def top1(self) -> float:
        """Accuracy on the test split in percent, of the last epoch."""
        return self.facts["scores"]["test/top1"]

    def network(self, units: Units | None = None) -> nn.Module:
        """The trained network on the run's device, in eval mode, its parameters frozen.

        It takes pixels in ``units``, by default those of the data set; where its own are others, its first layer
        changes them.
        """
        given = units or data_units(self._context.data)
        if given == self.units:
            return self._trained()
        change = UnitChange(given, self.units).to(self._context.device)
        return nn.Sequential(change, self._trained()).eval()

    def _trained(self) -> nn.Module:
        loaded = self._context.networks
        if self.signature not in loaded:
            data = self._context.data
            network = build(self.arch, data.num_classes, data.image_size)
            network.load_state_dict(load_tensors(self._context.folder(self) / _WEIGHTS))
            loaded[self.signature] = network.to(self._context.device).eval().requires_grad_(False)
        return loaded[self.signature]


def check_teachers(context: Context, teachers: list[Teacher]) -> None:
    """Say how good each teacher is, and stop if one does not know the classes."""
    required = context.config.teachers.required_top1(context.data.num_classes)
    for teacher in teachers:
        context.console.say(f"  {teacher.arch}: test top-1 {teacher.top1:.2f} %")
    for teacher in teachers:
        if teacher.top1 < required:
            raise RunError(
                f"teacher {teacher.arch} reaches {teacher.top1:.2f} % on the test split of {context.data.name}, below "
                f"teachers.min_top1 ({required:.2f}): too little training, or classes in another order than the "
                f"labels. {_remedy(teacher)}, or accept it with teachers.min_top1=null"
            )


def _remedy(teacher: Teacher) -> str:
    if teacher.weights:
        return (
            "Give weights that were trained on these classes, in this order, and say whose mean and std their images "
            "were normalised with, e.g. teachers.normalise=imagenet"
        )
    return "Train longer (teachers.epochs=...)"
