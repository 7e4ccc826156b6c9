"""Image files as uint8 RGB pixels, decoded with Pillow in threads."""

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

# Small images decode in less time than it takes to hand one of them to another thread.
_FILES_PER_TASK = 64
_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""Formats that are decoded, whatever a file's ending: for EPS Pillow would start Ghostscript, which runs it."""


@dataclass(frozen=True)
class Resizing:
    """Conversion of images of any size to squares: the shorter side is resized, then the centre is cut out."""

    shorter: int
    """Pixels that the shorter side is resized to, antialiased."""
    size: int
    """Pixels along an edge of the square."""
    interpolation: InterpolationMode


@dataclass(frozen=True)
class DecodedImage:
    """An image file's content."""

    pixels: np.ndarray
    """uint8 [H,W,3]."""
    kind: str | None
    """Colour mode before the conversion to RGB, such as ``grey`` or ``CMYK``; None for RGB."""
    sha256: bytes
    """Digest of the file."""


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

    As is usual in this field, transparency is dropped, an EXIF rotation is ignored and of several frames the first
    counts; 16-bit grey is scaled to 8 bits. Raises UsageError when the file cannot be read.
    """
    try:
        content = read_regular(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    return decode_content(content, path, resizing)


def decode_content(content: bytes, path: object, resizing: Resizing | None) -> DecodedImage:
    """``decode_image`` of a file's ``content``, which messages say lies in ``path``."""
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as opened:
            kind = _kind(opened.mode)
            image = _as_rgb(opened)
    except Exception as error:  # Pillow's decoders raise almost anything on damaged files
        raise _unreadable(path, error) from error
    if resizing is not None:
        whole = resize(image, [resizing.shorter], resizing.interpolation, antialias=True)
        image = center_crop(whole, [resizing.size])
    return DecodedImage(np.asarray(image), kind, hashlib.sha256(content).digest())


def read_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels, from the file's header. Raises UsageError when it cannot be read."""
    try:
        with open_regular(path) as file, Image.open(file, formats=_FORMATS) as image:
            return image.size
    except Exception as error:  # as in decode_image
        raise _unreadable(path, error) from error


def _kind(mode: str) -> str | None:
    """A word for a Pillow mode in messages about conversions; None for RGB, which needs none."""
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
        # By way of RGBA, or Pillow warns about palettes with transparency.
        image = image.convert("RGBA")
    return image.convert("RGB")


def _unreadable(path: object, error: Exception) -> UsageError:
    if isinstance(error, UnidentifiedImageError):  # its own words name a buffer in memory
        reason = f"it is none of {', '.join(_FORMATS)}"
    else:
        reason = " ".join(str(error).split())
    return UsageError(f"{path} cannot be read as an image ({reason}): replace it or remove it")
