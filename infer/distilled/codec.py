"""The loss that composed images suffer where they are stored as JPEG, as the published INFER code stores them."""

import io

import torch
from PIL import Image, features
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor

from infer.normalisation import Normalisation

EXACT, JPEG = "exact", "jpeg"
_QUALITY = 75
_CHROMA_HALVED = 2


def decoded(images: Tensor, normalisation: Normalisation, codec: str) -> Tensor:
    """Composed ``images`` [N, 3, H, W], normalised, as they come back from ``codec``.

    ``jpeg`` truncates values to bytes and compresses each image by PIL at quality 75 with halved chroma (4:2:0), as in
    UFC, utils.py:103. The result depends on the JPEG library, see ``library_of``.
    """
    if codec == EXACT:
        return images
    pixels = normalisation.levels(images).clamp(0, 255).to(torch.uint8)
    return normalisation.normalise(torch.stack([_through_jpeg(image) for image in pixels]))


def library_of(codec: str) -> dict[str, str]:
    """The library that decides on the last bits of decoded images, for a manifest; empty for an exact one."""
    if codec == EXACT:
        return {}
    turbo = features.version("libjpeg_turbo")
    return {"jpeg_library": f"libjpeg-turbo {turbo}" if turbo else f"libjpeg {features.version('jpg')}"}


def _through_jpeg(image: Tensor) -> Tensor:
    file = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=_QUALITY, subsampling=_CHROMA_HALVED)
    pixels: Tensor = pil_to_tensor(Image.open(file))
    return pixels
