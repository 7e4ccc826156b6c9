"""Coresets: real images chosen one after another by their positions in the feature space of a teacher."""

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
    """``per_class`` training images of each class; a smaller set holds the first images of a larger one."""

    def __init__(self, context: Context, per_class: int, teacher: Teacher) -> None:
        super().__init__(context, per_class)
        groups = class_groups(context.data.num_classes)
        self._features = [Features(context, teacher, classes) for classes in groups]

    @staticmethod
    @abstractmethod
    def choose(features: Tensor, count: int) -> Tensor:
        """Rows of ``features`` [n, D], those of one class, in the order in which they are chosen: int64 [count]."""

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
    """Rows of ``features`` [n, D], each the one that brings the mean of the chosen rows nearest to the mean of all.

    int64 [count] in the order in which they are chosen; no row comes twice, and the first of equal rows is chosen
    (iCaRL, algorithm 4).
    """
    centred = features - features.mean(0)
    squares = centred.square().sum(1)
    chosen_sum = torch.zeros_like(centred[0])  # the next row is to cancel it
    free = torch.ones_like(squares, dtype=torch.bool)
    order = []
    for _ in range(count):
        distances = squares + 2 * (centred @ chosen_sum)  # ||chosen_sum + row||², less what is the same for all rows
        best = distances.masked_fill(~free, torch.inf).argmin()
        order.append(best)
        chosen_sum = chosen_sum + centred[best]
        free[best] = False
    return torch.stack(order)


def k_centers(features: Tensor, count: int) -> Tensor:
    """Rows of ``features`` [n, D]: the one nearest to the mean, then always the one farthest from all chosen rows.

    The greedy 2-approximation of the smallest covering radius (Gonzalez 1985). int64 [count] in the order in which
    they are chosen; no row comes twice, and the first of equal rows is chosen.
    """
    centre = (features - features.mean(0)).square().sum(1).argmin()
    order = [centre]
    to_nearest = torch.full_like(features[:, 0], torch.inf)
    for _ in range(count - 1):
        to_nearest = torch.minimum(to_nearest, (features - features[centre]).square().sum(1))
        to_nearest[centre] = -torch.inf  # below that of its duplicates, which are at distance zero
        centre = to_nearest.argmax()
        order.append(centre)
    return torch.stack(order)
