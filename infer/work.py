"""Work of making an artefact: the passes of images through networks, which determine how long it takes."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import Enum
from functools import cached_property


class Pass(str, Enum):
    """Way in which images pass a network."""

    train = "train"
    """Forward and backward, with an update of the weights."""
    optimise = "optimise"
    """Forward and backward to the images, with batch-norm matching."""
    forward = "forward"
    """Forward only."""


_FORWARDS = {Pass.train: 3, Pass.optimise: 3, Pass.forward: 1}
"""Number of forward passes that take about as long as one pass of each kind."""


@dataclass(frozen=True)
class Passes:
    """Passes of images through a network that take the same time per image."""

    how: Pass
    arch: str
    images: int
    """Number of images that pass, with repetitions."""
    at_once: int
    """Number of images that pass together."""
    size: int
    """Height and width of an image in pixels."""
    classes: int
    """Number of outputs of the network."""
    precision: str
    compiled: bool = False
    of_step: int = 0
    """Number of images of a step, where they pass in parts of ``at_once`` images; 0: all images of a step pass
    together."""
    whole_size: int = 0
    """Height and width of the images that the network is built for, if those that pass are smaller; 0: ``size``."""

    @cached_property
    def kind(self) -> str:
        """Key of everything, besides the machine, that the time per image depends on."""
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
        """Number of images of the size that the network is built for with as many pixels as those that pass."""
        return round(self.images * self.size**2 / self.whole_size**2) if self.whole_size else self.images

    def at_size(self, size: int, images: int) -> "Passes":
        """Passes of ``images`` images of ``size`` x ``size`` pixels through the same network."""
        whole_size = 0 if size == self.network_size else self.network_size
        return replace(self, images=images, size=size, whole_size=whole_size)


@dataclass(frozen=True)
class Work:
    """Work of making one artefact. Works of the same ``kind`` take the same time per unit, whatever their size."""

    passes: Sequence[Passes] = ()
    name: str = ""
    """Kind of the work where it is not, or not only, passes through networks."""

    @cached_property
    def kind(self) -> str:
        """Key under which records of similar work are found; with progressive resizing it has the final size only."""
        kinds = sorted({passes.whole.kind for passes in self.passes if passes.images})
        return " ".join([self.name] * bool(self.name) + kinds)

    @property
    def units(self) -> float:
        """Size of the work in forward passes of one image of final size; 1 where no images pass a network."""
        return sum(_FORWARDS[passes.how] * passes.whole_images for passes in self.passes) or 1.0
