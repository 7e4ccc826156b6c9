"""Boundary: t-SNE of penultimate features of some classes, and the classes that the network predicts for them.

``StudentBoundary`` has a panel for each student, with images of the test split, on which no student was trained and
which are the same in all panels, and with the distilled images of its own set. Panels are embedded separately, since
two networks have no common features. ``Boundary`` uses one teacher, so real images and the sets are embedded together,
and the same place means the same features in every panel. The embedding is t-SNE (van der Maaten and Hinton, 2008) of
scikit-learn, initialised by PCA, with a fixed seed.

The background of the points is computed from the points only: every place has the predicted class of the nearest point.
This approximates the decision regions, which cannot be drawn themselves, since t-SNE has no inverse that would give the
network's prediction between the points. Two numbers do not depend on the embedding: the fraction of images that the
network classifies correctly, and the silhouette of the classes (Rousseeuw, 1987) in feature space by cosine distance,
which is 1 for classes that are far apart and 0 without separation.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from torch import Tensor

from infer.analyses.base import Analysis, NetworkAnalysis
from infer.analyses.numbers import plain
from infer.analyses.outputs import Outputs
from infer.analyses.sample import first_of, real_beside, sample_of, scored_images
from infer.config import AnalysisName
from infer.errors import UsageError
from infer.methods.sets.base import DistilledArtefact
from infer.store import Artefact
from infer.teachers.network import TrainedNetwork
from infer.teachers.teacher import Teacher
from infer.words import some

DEFAULT_CLASSES = 3
_MOST_POINTS = 100
"""Largest number of points of a class in a panel; more would cover each other."""
_MOST_DISTILLED = 20
"""Largest number of distilled images of a class in the panel of a student."""
_PERPLEXITY, _SEED = 30, 0
_MOST_NAMED = 10


class StudentBoundary(Analysis):
    """Features of ``classes`` in one student per panel, for test images and the distilled images of its set."""

    title = AnalysisName.boundary

    def __init__(
        self, shown: Sequence[tuple[DistilledArtefact, TrainedNetwork]], classes: Sequence[str] | None = None
    ) -> None:
        """``shown`` lists sets distilled from the same data set, each with a student that was trained on it."""
        super().__init__(shown[0][0])
        context = self.images.context
        self._shown = shown
        self._classes = chosen_classes(context.data.classes, classes)
        real = scored_images(context, self._classes, _MOST_POINTS)
        self._real = [Outputs(images.context, student, real) for images, student in shown]
        self._sets = [Outputs(images.context, student, sample_of(images)) for images, student in shown]

    @property
    def name(self) -> str:
        return "-".join([*(images.name for images, _ in self._shown), self.title.value])

    @property
    def settings(self) -> Mapping[str, Any]:
        return {**super().settings, "classes": self._classes}

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return self.by_role(set=self._sets, real=self._real)

    def measure(self) -> dict[str, Any]:
        context = self.images.context
        names = context.data.classes
        return {
            "set": " and ".join(dict.fromkeys(images.name for images, _ in self._shown)),
            "images": context.config.evaluate.split.value,
            "classes": {str(c): names[c] for c in self._classes},
            "panels": [self._panel(position) for position in range(len(self._shown))],
        }

    def _panel(self, position: int) -> dict[str, Any]:
        (images, student), real, distilled = self._shown[position], self._real[position], self._sets[position]
        config, rows = images.context.config, first_of(distilled.targets, self._classes, _MOST_DISTILLED)
        num_real = len(real.targets)
        places = embedded(torch.cat([real.features, distilled.features[rows]]))
        return {
            "name": images.name,
            "method": config.method.name,
            "labels": config.labeling.mode.value,
            "network": student.arch,
            "places": plain(places[:num_real]),
            **_separation(real, torch.arange(num_real)),
            "distilled": {"places": plain(places[num_real:]), **_classes_of(distilled, rows)},
        }


class Boundary(NetworkAnalysis):
    """Features of ``classes`` in the first probe, for real images, the set, and the set ``beside`` if given."""

    title = AnalysisName.boundary

    def __init__(
        self,
        images: DistilledArtefact,
        probes: Sequence[Teacher],
        classes: Sequence[str] | None = None,
        beside: DistilledArtefact | None = None,
    ) -> None:
        super().__init__(images, probes[:1])
        self._classes = chosen_classes(images.context.data.classes, classes)
        self._beside = beside
        (self._real,) = self.outputs_on(real_beside(images))
        self._sets = [each for shown in self._shown for each in self.outputs_on(sample_of(shown))]

    @property
    def _shown(self) -> list[DistilledArtefact]:
        return [self.images, *([self._beside] if self._beside else [])]

    @property
    def name(self) -> str:
        return "-".join([*(each.name for each in self._shown), self.title.value])

    @property
    def settings(self) -> Mapping[str, Any]:
        return {**super().settings, "classes": self._classes}

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return self.by_role(set=self._sets, real=[self._real])

    def measure(self) -> dict[str, Any]:
        panels = [self._real, *self._sets]
        kept = [first_of(each.targets, self._classes, _MOST_POINTS) for each in panels]
        features = [each.features[rows] for each, rows in zip(panels, kept, strict=True)]
        places = embedded(torch.cat(features)).split([len(rows) for rows in kept])
        names = ["real images", *(each.name for each in self._shown)]
        data = self.images.context.data
        return {
            "set": " and ".join(each.name for each in self._shown),
            "network": self.probes[0].arch,
            "classes": {str(c): data.classes[c] for c in self._classes},
            "panels": [
                {"name": name, "places": plain(place), **_separation(each, rows)}
                for name, place, each, rows in zip(names, places, panels, kept, strict=True)
            ],
        }


def chosen_classes(all_classes: Sequence[str], names: Sequence[str] | None) -> list[int]:
    """Indices of the classes ``names``, by default of the first three classes.

    Raises UsageError for an unknown class, and for fewer than two classes.
    """
    if names is None:
        return list(range(min(DEFAULT_CLASSES, len(all_classes))))
    unknown = [name for name in names if name not in all_classes]
    if unknown:
        there = some(all_classes, _MOST_NAMED)
        raise UsageError(f"--classes {','.join(names)}: the set has no class {unknown[0]!r}; it has {there}")
    if len(set(names)) < 2:
        raise UsageError(
            f"--classes {','.join(names)}: a boundary lies between at least two classes. "
            f"Type --classes {','.join(all_classes[:DEFAULT_CLASSES])}"
        )
    return sorted({list(all_classes).index(name) for name in names})


def embedded(features: Tensor) -> Tensor:
    """Embedding of ``features`` [n, D] in the plane by t-SNE: float32 [n, 2]."""
    perplexity = min(_PERPLEXITY, (len(features) - 1) / 3)
    embedding = TSNE(init="pca", perplexity=perplexity, random_state=_SEED)
    with warnings.catch_warnings():  # equal images cause divisions by zero, which do no harm
        warnings.simplefilter("ignore", RuntimeWarning)
        return torch.from_numpy(embedding.fit_transform(features.numpy()))


def _separation(outputs: Outputs, rows: Tensor) -> dict[str, Any]:
    """Classes and predicted classes of the images ``rows``, their accuracy in percent and the silhouette."""
    classes = _classes_of(outputs, rows)
    targets, predicted = torch.tensor(classes["targets"]), torch.tensor(classes["predicted"])
    found = len(targets.unique())
    is_defined = 2 <= found < len(targets)
    features = outputs.features[rows].numpy()
    return {
        **classes,
        "accuracy": plain(100 * (targets == predicted).double().mean()),
        "silhouette": float(silhouette_score(features, targets.numpy(), metric="cosine")) if is_defined else None,
    }


def _classes_of(outputs: Outputs, rows: Tensor) -> dict[str, list[int]]:
    """Classes and predicted classes of the images ``rows``."""
    return {"targets": outputs.targets[rows].tolist(), "predicted": outputs.logits[rows].argmax(dim=1).tolist()}
