"""Work of an artefact before it is made: the passes of images through networks, which decide how long that takes."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
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

    @cached_property
    def kind(self) -> str:
        """Everything that the time per image depends on, besides the machine: a key."""
        like = {key: value for key, value in asdict(self).items() if key not in ("images", "of_step")}
        return json.dumps(like, sort_keys=True)


@dataclass(frozen=True)
class Work:
    """Work of one artefact. Artefacts of the same ``kind`` take the same time per unit, whatever their number."""

    passes: Sequence[Passes] = ()
    name: str = ""
    """The kind of work, where that is no passes or something beside them."""

    @cached_property
    def kind(self) -> str:
        """Key under which records of like artefacts are found."""
        kinds = sorted({passes.kind for passes in self.passes if passes.images})
        return " ".join([self.name] * bool(self.name) + kinds)

    @property
    def units(self) -> float:
        """Size of the work in forward passes of one image; 1 where nothing passes a network."""
        return sum(_FORWARDS[passes.how] * passes.images for passes in self.passes) or 1.0
