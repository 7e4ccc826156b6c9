"""Work of an artefact before it is made: the passes of images through networks, which decide how long that takes."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import Enum
from functools import cached_property


class Pass(str, Enum):
    """A way in which images pass a network."""

    train = "train"
    """Forwards and backwards, with an update of the weights."""
    optimise = "optimise"
    """Forwards and backwards to the images, whose batch-norm statistics are matched."""
    forward = "forward"


_FORWARDS = {Pass.train: 3, Pass.optimise: 3, Pass.forward: 1}
"""Forward passes that take about as long as one pass."""


@dataclass(frozen=True)
class Passes:
    """Passes that cost the same per image."""

    how: Pass
    arch: str
    images: int
    """Images that pass, each time counted."""
    at_once: int
    """Images that pass together."""
    size: int
    """Height and width of an image in pixels."""
    classes: int
    """Outputs of the network."""
    precision: str
    compiled: bool = False
    of_step: int = 0
    """Images of a step that pass a part after the other, ``at_once`` of them each; 0: all of a step pass at once."""
    whole_size: int = 0
    """Height and width of the images that the network is built for, where smaller ones pass; 0: ``size``."""

    @cached_property
    def kind(self) -> str:
        """Everything that the time per image depends on, besides the machine: a key."""
        unnamed = {"images", "of_step"} | ({"whole_size"} if self.whole_size == 0 else set())
        return json.dumps({key: value for key, value in asdict(self).items() if key not in unnamed}, sort_keys=True)

    @property
    def network_size(self) -> int:
        """Height and width of the images that the network is built for."""
        return self.whole_size or self.size

    @property
    def whole(self) -> "Passes":
        """The same number of passes of images of the size that the network is built for."""
        return self.at_size(self.network_size, self.images)

    @property
    def whole_images(self) -> int:
        """Images that pass counted by their pixels, in images of the size that the network is built for."""
        return round(self.images * self.size**2 / self.whole_size**2) if self.whole_size else self.images

    def at_size(self, size: int, images: int) -> "Passes":
        """Passes of ``images`` images of ``size`` x ``size`` pixels through the same network."""
        whole_size = 0 if size == self.network_size else self.network_size
        return replace(self, images=images, size=size, whole_size=whole_size)


@dataclass(frozen=True)
class Work:
    """Work of one artefact. Artefacts of the same ``kind`` take the same time per unit, whatever their number."""

    passes: Sequence[Passes] = ()
    name: str = ""
    """The kind of work, where that is no passes or something beside them."""

    @cached_property
    def kind(self) -> str:
        """Key under which records of like artefacts are found; of images that grow it names the whole ones alone."""
        kinds = sorted({passes.whole.kind for passes in self.passes if passes.images})
        return " ".join([self.name] * bool(self.name) + kinds)

    @property
    def units(self) -> float:
        """Size of the work in forward passes of one whole image; 1 where nothing passes a network."""
        return sum(_FORWARDS[passes.how] * passes.whole_images for passes in self.passes) or 1.0
