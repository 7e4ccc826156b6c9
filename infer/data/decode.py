"""Decoding of image files to uint8 RGB pixels, by Pillow in several threads."""

import hashlib
import io
import math
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import center_crop, resize

from infer.errors import UsageError
from infer.files import open_regular, read_regular
from infer.ranges import consecutive

_FILES_PER_TASK = 64
"""Number of files in a task of a thread; decoding a small image takes less time than passing it to a thread."""
_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""Formats that are decoded, whatever the extension of a file. EPS is not one of them, since Pillow would run the
program in such a file with Ghostscript."""


@dataclass(frozen=True)
class Resizing:
    """Conversion of images of any size to squares: the shorter side is resized, then the centre is cropped."""

    shorter: int
    """Length in pixels to which the shorter side is resized, antialiased."""
    size: int
    """Edge of the square in pixels."""
    interpolation: InterpolationMode


@dataclass(frozen=True)
class DecodedImage:
    """Content of an image file."""

    pixels: np.ndarray
    """uint8 [H,W,3], RGB."""
    kind: str | None
    """Colour mode before the conversion to RGB, such as ``grey`` or ``CMYK``; None for RGB."""
    sha256: bytes
    """SHA-256 of the file."""


def decode_images(
    paths: Sequence[Path], resizing: Resizing | None, threads: int
) -> Generator[DecodedImage, None, None]:
    """``decode_image`` of every path, in order. Closing the generator stops the threads."""
    together = min(_FILES_PER_TASK, math.ceil(len(paths) / threads)) or 1
    tasks = [paths[part.start : part.stop] for part in consecutive(len(paths), together)]
    pool = ThreadPoolExecutor(threads)
    try:
        for images in pool.map(lambda task: [decode_image(path, resizing) for path in task], tasks):
            yield from images
    finally:
        pool.shutdown(cancel_futures=True)


def decode_image(path: Path, resizing: Resizing | None) -> DecodedImage:
    """The image as RGB and, where ``resizing`` is given, as a square.

    As is usual, transparency and EXIF rotation are ignored, and only the first of several frames is used. 16-bit grey
    values are scaled to 8 bits. Raises UsageError where the file cannot be read.
    """
    try:
        content = read_regular(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    return decode_content(content, path, resizing)


def decode_content(content: bytes, path: object, resizing: Resizing | None) -> DecodedImage:
    """``decode_image`` of the ``content`` of a file; ``path`` is its name in messages."""
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as opened:
            kind = _kind(opened.mode)
            image = _as_rgb(opened)
    except Exception as error:  # Pillow's decoders raise many kinds of errors on damaged files
        raise _unreadable(path, error) from error
    if resizing is not None:
        whole = resize(image, [resizing.shorter], resizing.interpolation, antialias=True)
        image = center_crop(whole, [resizing.size])
    return DecodedImage(np.asarray(image), kind, hashlib.sha256(content).digest())


def read_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels, from the file's header. Raises UsageError where it cannot be read."""
    try:
        with open_regular(path) as file, Image.open(file, formats=_FORMATS) as image:
            return image.size
    except Exception as error:  # as in decode_image
        raise _unreadable(path, error) from error


def _kind(mode: str) -> str | None:
    """Name of a Pillow mode for messages about conversions; None for RGB, which is not converted."""
    if mode in ("1", "L", "LA", "La") or mode.startswith("I;16"):
        return "grey"
    if mode in ("P", "PA"):
        return "palette"
    return None if mode == "RGB" else mode


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F"):
        raise ValueError("its 32-bit values have no fixed range, store it with 8 or 16 bits")
    if image.mode.startswith("I;16"):
        # Pillow's own conversion clips at 255 instead of scaling.
        image = Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))
    elif image.mode in ("P", "PA"):
        # Converted to RGBA first, since Pillow warns about palettes with transparency otherwise.
        image = image.convert("RGBA")
    return image.convert("RGB")


def _unreadable(path: object, error: Exception) -> UsageError:
    if isinstance(error, UnidentifiedImageError):  # its message names a buffer in memory, not the file
        reason = f"it is none of {', '.join(_FORMATS)}"
    else:
        reason = " ".join(str(error).split())
    return UsageError(f"{path} cannot be read as an image ({reason}): replace it or remove it")
