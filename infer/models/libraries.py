"""Classification networks of timm and torchvision, with random weights and any number of classes."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import nn

from infer.errors import UsageError
from infer.models.names import nearest


def timm_network(name: str, num_classes: int, image_size: int) -> nn.Module:
    """timm's network ``name``, built for ``image_size`` where its size is fixed, and initialised by timm.

    Raises UsageError for an unknown name, with the nearest names, and for images that the network cannot take.
    """
    import timm

    _require_known("timm", name, timm.list_models())
    needs_size = timm.models.get_pretrained_cfg_value(name, "fixed_input_size")
    options: dict[str, Any] = {"img_size": image_size} if needs_size else {}
    make = partial(timm.create_model, name, pretrained=False, num_classes=num_classes, **options)
    return _checked(f"timm/{name}", make, image_size)


def torchvision_network(name: str, num_classes: int, image_size: int) -> nn.Module:
    """torchvision's network ``name``, built for ``image_size`` where its size is fixed, and initialised by torchvision.

    Raises UsageError for an unknown name, with the nearest names, and for images that the network cannot take.
    """
    from torchvision import models

    _require_known("torchvision", name, models.list_models(module=models))
    options = _torchvision_options(name, image_size)
    make = partial(models.get_model, name, weights=None, num_classes=num_classes, **options)
    return _checked(f"torchvision/{name}", make, image_size)


def _require_known(library: str, name: str, known: Iterable[str]) -> None:
    if name in known:
        return
    untagged = name.partition(".")[0]  # a tag in a timm name refers to trained weights, which are not loaded here
    raise UsageError(
        f"{library} has no architecture '{name}'{nearest(untagged, known)}; type {library}/<name> "
        f"with a name that its list_models() gives and no weights tag: networks start untrained"
    )


def _torchvision_options(name: str, image_size: int) -> dict[str, object]:
    """Constructor arguments that set the image size, or switch off auxiliary classifiers."""
    if name.startswith("vit_"):
        return {"image_size": image_size}
    if name.startswith("maxvit_"):
        return {"input_size": (image_size, image_size)}
    if name in ("googlenet", "inception_v3"):
        return {"aux_logits": False, "init_weights": True}
    return {}


def _checked(arch: str, make: Callable[[], nn.Module], image_size: int) -> nn.Module:
    """The network, tested with one image, since many networks need larger images than those of CIFAR."""
    try:
        network = make().eval()
        with torch.no_grad():  # not inference_mode: tensors that a network caches here must be usable in training
            network(torch.zeros(1, 3, image_size, image_size))
    except (AssertionError, RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UsageError(
            f"{arch} cannot take images of {image_size}x{image_size} pixels ({reason}); choose another "
            "network or resize the images"
        ) from error
    return network.train()
