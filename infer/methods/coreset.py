"""A coreset: real images, chosen one after another by how their features lie in the feature space of a teacher."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from infer.context import Context
from infer.methods.features import Features
from infer.methods.image_set import DistilledImages
from infer.methods.teacher_outputs import class_groups
from infer.store import Artefact
from infer.teachers.teacher import Teacher


class Coreset(DistilledImages):
    """``per_class`` training images of each class; a smaller set holds the first images of a larger one."""

    def __init__(self, context: Context, per_class: int, teacher: Teacher) -> None:
        super().__init__(context, per_class)
        groups = class_groups(context.data.num_classes)
        self._features = [Features(context, teacher, classes) for classes in groups]

    @staticmethod
    @abstractmethod
    def choose(features: Tensor, count: int) -> Tensor:
        """The rows of ``features`` [n, D] of one class that are taken, in their order: int64 [count]."""

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"method": self.method, "data": self.context.data.fingerprint, "per_class": self.per_class}

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return {f"features/{number}": features for number, features in enumerate(self._features)}

    def finished_images(self) -> tuple[Tensor, Tensor]:
        rows = torch.cat([self._chosen(part, c) for part in self._features for c in part.classes])
        train = self.context.data.train
        return train.images[rows], train.targets[rows]

    def _chosen(self, part: Features, target: int) -> Tensor:
        """Training images of class ``target``, by their index."""
        known = part.of_class(target)
        order = self.choose(known["features"].to(self.context.device), self.per_class)
        return known["index"][order.cpu()]
