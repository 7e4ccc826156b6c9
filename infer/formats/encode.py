"""Encoding of pixels as image files, several at a time."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import torch
from PIL import Image
from torch import Tensor

_BLOCK = 1024  # images encoded ahead of whoever writes them


def ending(jpeg_quality: int | None) -> str:
    """Ending of the file's name."""
    return ".png" if jpeg_quality is None else ".jpg"


def encode(pixels: Tensor, jpeg_quality: int | None) -> bytes:
    """uint8 [3, H, W] as a PNG file or, where a quality is given, as a JPEG without chroma subsampling (4:4:4)."""
    image = Image.fromarray(pixels.permute(1, 2, 0).numpy())
    content = io.BytesIO()
    if jpeg_quality is None:
        image.save(content, "PNG", compress_level=1)  # 6, the default, takes several times as long for a few per cent
    else:
        image.save(content, "JPEG", quality=jpeg_quality, subsampling=0)
    return content.getvalue()


def encoded(images: Tensor, jpeg_quality: int | None) -> Iterator[bytes]:
    """``encode`` of every image of uint8 [N, 3, H, W], in order, on as many threads as torch has."""
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for block in images.split(_BLOCK):
            yield from pool.map(partial(encode, jpeg_quality=jpeg_quality), block)
