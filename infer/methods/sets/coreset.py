"""Coresets: real images that are chosen one after another by their positions in a teacher's feature space."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from infer.context import Context
from infer.methods.sets.features import Features
from infer.methods.sets.image_set import DistilledImages
from infer.methods.sets.teacher_outputs import class_groups
from infer.store import Artefact
from infer.teachers.teacher import Teacher


class Coreset(DistilledImages):
    """``per_class`` training images of each class; a smaller set consists of the first images of a larger one."""

    def __init__(self, context: Context, per_class: int, teacher: Teacher) -> None:
        super().__init__(context, per_class)
        groups = class_groups(context.data.num_classes)
        self._features = [Features(context, teacher, classes) for classes in groups]

    @staticmethod
    @abstractmethod
    def choose(features: Tensor, count: int) -> Tensor:
        """Indices int64 [count] of the chosen images, in order, given the ``features`` [n, D] of one class."""

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
        """Indices of the chosen training images of class ``target``."""
        outputs = part.of_class(target)
        order = self.choose(outputs["features"].to(self.context.device), self.per_class)
        return outputs["index"][order.cpu()]


class HerdingSet(Coreset):
    """``per_class`` images of each class, chosen by ``herd``."""

    method = "herding"

    @staticmethod
    def choose(features: Tensor, count: int) -> Tensor:
        return herd(features, count)


class KCenterSet(Coreset):
    """``per_class`` images of each class, chosen by ``k_centers``."""

    method = "kcenter"

    @staticmethod
    def choose(features: Tensor, count: int) -> Tensor:
        return k_centers(features, count)


def herd(features: Tensor, count: int) -> Tensor:
    """Indices of rows of ``features`` [n, D], chosen one after another by herding (iCaRL, algorithm 4).

    Each is the row that brings the mean of the chosen rows nearest to the mean of all rows. Returns int64 [count] in
    the order of the choice. No row is chosen twice; of equal rows the first is chosen.
    """
    centred = features - features.mean(0)
    squares = centred.square().sum(1)
    chosen_sum = torch.zeros_like(centred[0])  # the next row should bring it nearest to zero
    free = torch.ones_like(squares, dtype=torch.bool)
    order = []
    for _ in range(count):
        distances = squares + 2 * (centred @ chosen_sum)  # ||chosen_sum + row||² without the constant ||chosen_sum||²
        best = distances.masked_fill(~free, torch.inf).argmin()
        order.append(best)
        chosen_sum = chosen_sum + centred[best]
        free[best] = False
    return torch.stack(order)


def k_centers(features: Tensor, count: int) -> Tensor:
    """Indices of rows of ``features`` [n, D], chosen one after another as k centers.

    The first is the row nearest to the mean, each later one the row farthest from all chosen rows: the greedy
    2-approximation of the smallest covering radius (Gonzalez 1985). Returns int64 [count] in the order of the choice.
    No row is chosen twice; of equal rows the first is chosen.
    """
    centre = (features - features.mean(0)).square().sum(1).argmin()
    order = [centre]
    to_nearest = torch.full_like(features[:, 0], torch.inf)
    for _ in range(count - 1):
        to_nearest = torch.minimum(to_nearest, (features - features[centre]).square().sum(1))
        to_nearest[centre] = -torch.inf  # so that its duplicates, at distance zero, are chosen before it
        centre = to_nearest.argmax()
        order.append(centre)
    return torch.stack(order)
