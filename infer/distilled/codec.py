"""JPEG as in the published INFER code, which stores composed images so; on numpy arrays, without torch.

Values are truncated to bytes and compressed with Pillow's defaults, quality 75 and halved chroma (UFC, utils.py:103).
Decoded pixels depend on the JPEG library that Pillow was built with, see ``library_of``.
"""

import io

import numpy as np
from PIL import Image, features

EXACT, JPEG = "exact", "jpeg"
_QUALITY, _SUBSAMPLING = 75, "4:2:0"
_ROUNDING = 2**-8
"""Amount added before truncation, in levels from 0 to 255, against rounding errors of float arithmetic. With it,
natural images, whose levels are integers, do not change; the published code lowers a fifth of their values by one."""


def through_jpeg(levels: np.ndarray) -> np.ndarray:
    """``levels`` [..., 3, H, W], 0 to 255, truncated to bytes, compressed and decoded again: uint8, the same shape."""
    pixels = (levels.astype(np.float32) + _ROUNDING).clip(0, 255).astype(np.uint8)
    decoded = np.empty_like(pixels)
    for place in np.ndindex(pixels.shape[:-3]):
        file = io.BytesIO()
        image = Image.fromarray(np.ascontiguousarray(np.moveaxis(pixels[place], 0, -1)))
        image.save(file, "JPEG", quality=_QUALITY, subsampling=_SUBSAMPLING)
        decoded[place] = np.moveaxis(np.asarray(Image.open(file)), -1, 0)
    return decoded


def library_of(codec: str) -> dict[str, str]:
    """The JPEG library, on which decoded pixels depend, as an entry of a manifest; empty where ``codec`` is exact."""
    if codec == EXACT:
        return {}
    turbo = features.version("libjpeg_turbo")
    return {"jpeg_library": f"libjpeg-turbo {turbo}" if turbo else f"libjpeg {features.version('jpg')}"}
