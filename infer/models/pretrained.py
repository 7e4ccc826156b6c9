"""Published weights of an architecture: from a file, or by their name in torchvision or timm."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from infer.data.paths import expand
from infer.errors import UsageError
from infer.files import sha256
from infer.models import names
from infer.models.checkpoints import read_weights

DEFAULT = "DEFAULT"
"""Name of the weights that a library uses by default."""
_FILE_ENDINGS = (".pt", ".pth", ".ckpt", ".bin", ".tar", ".safetensors")


@dataclass(frozen=True)
class Weights:
    """Reference to weights, which are read when ``read`` is called."""

    source: str
    """Origin of the weights, for messages."""
    identity: Mapping[str, Any]
    """Entry in a signature: JSON-ready, and independent of the location of the file."""
    read: Callable[[], dict[str, Tensor]]
    """Function that returns the weights."""


def weights_for(arch: str, given: str) -> Weights:
    """The weights for the setting ``teachers.checkpoints={arch: given}``.

    They are those of the file ``given`` or, for ``torchvision/<name>`` and ``timm/<name>``, those with the name
    ``given`` in the library (``DEFAULT``: its default). Raises UsageError where there is no such file or name.
    """
    parsed = names.parse(arch)
    family = parsed.family
    path = expand(given)
    if path.is_file():
        return Weights(str(path), {"sha256": sha256(path)}, lambda: read_weights(path))
    if family in _LIBRARIES and "/" not in given and not given.endswith(_FILE_ENDINGS):
        return _LIBRARIES[family](arch, parsed.name, given)
    named = f"{DEFAULT} or a name of {family}'s weights, or " if family in _LIBRARIES else ""
    raise UsageError(
        f"teachers.checkpoints={{{arch}: {given}}} names no file ({path} is not there). Give {named}the path of a "
        "file with weights"
    )


def _of_torchvision(arch: str, name: str, given: str) -> Weights:
    from torchvision import models

    known = models.get_model_weights(name)
    if given != DEFAULT and given not in known.__members__:
        raise _unknown(arch, given, list(known.__members__))
    member = known.DEFAULT if given == DEFAULT else known[given]

    def read() -> dict[str, Tensor]:
        try:
            weights: dict[str, Tensor] = models.get_model(name, weights=member).state_dict()
            return weights
        except OSError as error:
            where = Path(torch.hub.get_dir(), "checkpoints", Path(member.url).name)
            raise UsageError(
                f"{arch} {member.name} cannot be fetched from {member.url} ({error}). Put that file at {where}, or "
                f"give its path: 'teachers.checkpoints={{{arch}: <file>}}'"
            ) from error

    return Weights(f"torchvision's {member}", {"torchvision": str(member), "url": member.url}, read)


def _of_timm(arch: str, name: str, given: str) -> Weights:
    import timm

    known = [entry.partition(".")[2] for entry in timm.list_pretrained(f"{name}.*")]
    chosen = timm.models.get_pretrained_cfg(name) if given == DEFAULT and known else None
    tag = given if chosen is None else chosen.tag
    if tag not in known:
        raise _unknown(arch, given, known)

    def read() -> dict[str, Tensor]:
        try:
            return timm.create_model(f"{name}.{tag}", pretrained=True).state_dict()
        except (OSError, RuntimeError) as error:
            reason = str(error).partition("\n")[0]
            raise UsageError(
                f"{arch} {tag} cannot be fetched ({reason}). Fetch it once where there is internet access (timm "
                f"keeps what it fetches), or give a file: 'teachers.checkpoints={{{arch}: <file>}}'"
            ) from error

    return Weights(f"timm's {name}.{tag}", {"timm": f"{name}.{tag}"}, read)


_LIBRARIES: dict[str, Callable[[str, str, str], Weights]] = {"torchvision": _of_torchvision, "timm": _of_timm}


def _unknown(arch: str, given: str, known: list[str]) -> UsageError:
    there = f"there are {', '.join(known)}" if known else "there are none for it"
    return UsageError(
        f"teachers.checkpoints={{{arch}: {given}}} is neither a file nor a name of weights: {there}. Give one of them, "
        f"{DEFAULT}, or the path of a file"
    )
