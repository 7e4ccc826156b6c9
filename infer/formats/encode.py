"""Encoding of pixels as image files, in several threads."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import torch
from PIL import Image
from torch import Tensor

_BLOCK = 1024
"""Number of images that are encoded together, before they are written."""


def ending(jpeg_quality: int | None) -> str:
    """Extension of the names of files: that of PNG, or of JPEG if a quality is given."""
    return ".png" if jpeg_quality is None else ".jpg"


def encode(pixels: Tensor, jpeg_quality: int | None) -> bytes:
    """``pixels``, uint8 [3, H, W], as PNG or, if a quality is given, as JPEG without chroma subsampling (4:4:4)."""
    image = Image.fromarray(pixels.permute(1, 2, 0).numpy())
    content = io.BytesIO()
    if jpeg_quality is None:
        image.save(content, "PNG", compress_level=1)  # the default, 6, takes several times as long to save a few %
    else:
        image.save(content, "JPEG", quality=jpeg_quality, subsampling=0)
    return content.getvalue()


def encoded(images: Tensor, jpeg_quality: int | None) -> Iterator[bytes]:
    """``encode`` of all ``images``, uint8 [N, 3, H, W], in order, with the number of threads of torch."""
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for block in images.split(_BLOCK):
            yield from pool.map(partial(encode, jpeg_quality=jpeg_quality), block)
