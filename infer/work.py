"""Work of making an artefact: the passes of images through networks, which determine how long it takes."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
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

    @cached_property
    def kind(self) -> str:
        """Key of everything, besides the machine, that the time per image depends on."""
        like = {key: value for key, value in asdict(self).items() if key not in ("images", "of_step")}
        return json.dumps(like, sort_keys=True)


@dataclass(frozen=True)
class Work:
    """Work of making one artefact. Works of the same ``kind`` take the same time per unit, whatever their size."""

    passes: Sequence[Passes] = ()
    name: str = ""
    """Kind of the work where it is not, or not only, passes through networks."""

    @cached_property
    def kind(self) -> str:
        """Key under which records of similar work are found."""
        kinds = sorted({passes.kind for passes in self.passes if passes.images})
        return " ".join([self.name] * bool(self.name) + kinds)

    @property
    def units(self) -> float:
        """Size of the work in forward passes of one image; 1 where no images pass a network."""
        return sum(_FORWARDS[passes.how] * passes.images for passes in self.passes) or 1.0
