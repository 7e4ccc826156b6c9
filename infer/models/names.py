"""Names of networks. This module does not import torch, so that a configuration is checked before torch is loaded."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from infer.errors import UsageError

CIFAR_RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101")
THIN_RESNETS = ("resnet8", "resnet14", "resnet20", "resnet32", "resnet44", "resnet56")
CONVNETS = ("convnet3", "convnet4", "convnet5", "convnet6")
PUBLISHED_TEACHERS = ("mobilenetv2", "efficientnet_b0", "shufflenet_g2")
NORMS = ("instancenorm", "batchnorm", "layernorm", "groupnorm", "nonorm")
GROUPS_OF_GROUPNORM = 4

ALLOWED = (
    "resnet18|34|50|101, resnet8|14|20|32|44|56[_w<width>], "
    f"convnet3|4|5|6[_w<width>][_{'|'.join(NORMS)}], "
    f"{', '.join(PUBLISHED_TEACHERS)}, timm/<name>, torchvision/<name>"
)

_REVISIONS = {"efficientnet_b0": 2}  # 2: trained without drop-connect, as published
"""Revision of a network, to be increased when its training gives other weights than before; by default 1."""

_WIDTH = r"(?:_w(?P<width>[1-9]\d{0,3}))?"
_FORMS = {
    "resnet": r"resnet(?P<depth>18|34|50|101)",
    "resnet_thin": rf"resnet(?P<depth>8|14|20|32|44|56){_WIDTH}",
    "convnet": rf"convnet(?P<depth>[3-6]){_WIDTH}(?:_(?P<norm>{'|'.join(NORMS)}))?",
    **{name: name for name in PUBLISHED_TEACHERS},
    "timm": r"timm/(?P<name>.+)",
    "torchvision": r"torchvision/(?P<name>.+)",
}


_DEFAULT_WIDTHS = {"resnet_thin": 16, "convnet": 128}
_DEFAULT_NORM = "instancenorm"


@dataclass(frozen=True)
class ParsedName:
    """Family of a network, and its options as given in the name or by default."""

    family: str
    depth: int = 0
    """Number of layers, or of blocks of a ConvNet; 0 for families whose depth is not an option."""
    width: int = 0
    """Number of channels of the first layers; 0 for families whose width is not an option."""
    norm: str = ""
    """Kind of normalisation layers in a ConvNet."""
    name: str = ""
    """Name of a network of timm or torchvision."""


def parse(arch: str) -> ParsedName:
    """Split a name such as ``convnet3_w64_batchnorm`` into its family and options.

    Names of networks of timm and torchvision are checked only when the networks are built.
    Raises UsageError with the allowed forms and the nearest names.
    """
    for family, form in _FORMS.items():
        if match := re.fullmatch(form, arch):
            given = {option: text for option, text in match.groupdict().items() if text is not None}
            return ParsedName(
                family,
                depth=int(given.get("depth", 0)),
                width=int(given.get("width", _DEFAULT_WIDTHS.get(family, 0))),
                norm=given.get("norm", _DEFAULT_NORM if family == "convnet" else ""),
                name=given.get("name", ""),
            )
    raise UsageError(f"unknown architecture '{arch}'{nearest(arch, _own_names())}; allowed: {ALLOWED}")


def signature_settings(arch: str) -> dict[str, str | int]:
    """The entries that identify the network ``arch`` in the signature of a teacher or student."""
    revision = _REVISIONS.get(arch, 1)
    return {"arch": arch} | ({"revision": revision} if revision > 1 else {})


def check(arch: str, image_size: int | None = None) -> None:
    """Raise UsageError unless ``arch`` is an allowed name that fits ``image_size`` in pixels, if it is given."""
    parsed = parse(arch)
    if parsed.family != "convnet":
        return
    if parsed.norm == "groupnorm" and parsed.width % GROUPS_OF_GROUPNORM:
        raise UsageError(f"{arch}: with groupnorm the width must be a multiple of {GROUPS_OF_GROUPNORM}")
    if image_size is not None:
        _check_pooling(arch, parsed.depth, image_size)


def nearest(given: str, known: Iterable[str]) -> str:
    """Part of a message such as `` (nearest: resnet18, resnet14)``; empty where no name in ``known`` is similar."""
    matches = difflib.get_close_matches(given.lower(), list(known), n=3)
    return f" (nearest: {', '.join(matches)})" if matches else ""


def _check_pooling(arch: str, depth: int, image_size: int) -> None:
    """Raise UsageError if no pixel is left after ``depth`` blocks, each of which halves the size, rounded down."""
    largest = image_size.bit_length() - 1
    if depth <= largest:
        return
    advice = (
        f"type {arch.replace(f'convnet{depth}', f'convnet{largest}')}"
        if f"convnet{largest}" in CONVNETS
        else "a ConvNet needs images of at least 8x8: choose another network, such as resnet8"
    )
    raise UsageError(
        f"{arch} pools images of size {image_size} below 1 pixel: the largest possible depth is {largest}; {advice}"
    )


def _own_names() -> list[str]:
    """All names without a width, among which the nearest ones are searched."""
    convnets_with_norm = [f"{convnet}_{norm}" for convnet in CONVNETS for norm in NORMS]
    return [*CIFAR_RESNETS, *THIN_RESNETS, *CONVNETS, *convnets_with_norm, *PUBLISHED_TEACHERS]
