"""Writers of other tools' formats, written from their descriptions and sharing nothing with the package."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.25)


def drawn_images(count: int, size: int = 8, seed: int = 0) -> np.ndarray:
    """uint8 [count, size, size, 3]."""
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def normalised(images: np.ndarray, mean: Sequence[float] = MEAN, std: Sequence[float] = STD) -> torch.Tensor:
    """float32 [N, 3, H, W] of uint8 [N, H, W, 3], as torchvision's ToTensor and Normalize make it."""
    scaled = (images.astype(np.float64) / 255 - np.array(mean)) / np.array(std)
    return torch.from_numpy(scaled.transpose(0, 3, 1, 2)).float()


def write_sre2l(root: Path, images: np.ndarray, targets: Sequence[int], ending: str = "png") -> None:
    """``new000/class000_id000.png``: PNG in place of the published JPEG, so that pixels can be compared."""
    _write_tree(root, images, targets, "new%03d", "class%03d_id%03d." + ending)


def write_rded(root: Path, images: np.ndarray, targets: Sequence[int], ending: str = "png") -> None:
    """``00000/class00000_id00000.png``."""
    _write_tree(root, images, targets, "%05d", "class%05d_id%05d." + ending)


def write_parquet(
    file: Path,
    images: np.ndarray,
    targets: Sequence[int],
    names: Sequence[str] | None,
    image_column: str = "image",
    label_column: str = "label",
) -> None:
    """Write as datasets' ``to_parquet`` does: an image is a struct of its file's bytes and a path or null."""
    import pyarrow
    import pyarrow.parquet

    cells = [{"bytes": _png(image), "path": None} for image in images]
    kinds = {image_column: {"_type": "Image"}, label_column: {"names": names, "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": kinds}})} if names else None
    image_type = pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})
    fields = [pyarrow.field(image_column, image_type), pyarrow.field(label_column, pyarrow.int64())]
    table = pyarrow.table({image_column: cells, label_column: list(targets)}, pyarrow.schema(fields, metadata))
    pyarrow.parquet.write_table(table, file)


def _write_tree(root: Path, images: np.ndarray, targets: Sequence[int], folder: str, file: str) -> None:
    seen: dict[int, int] = {}
    for image, target in zip(images, targets, strict=True):
        number = seen[target] = seen.get(target, -1) + 1
        path = root / (folder % target) / (file % (target, number))
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)


def _png(image: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(image).save(content, "png")
    return content.getvalue()
