"""Parquet in the layout of Hugging Face's ``datasets``: one row per image, an encoded file and its class.

Columns: ``image`` struct<bytes: binary, path: string>, ``label`` int64 and, where there are soft labels, ``logits`` or,
for probabilities, ``soft_label``, list<float>. The class names stand in the schema's metadata, as JSON under
``huggingface``. Other column names (CIFAR's ``img`` and ``fine_label``, for example) are found by the metadata.
"""

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from infer.data.decode import decode_content
from infer.distilled.soft_labels import are_probabilities
from infer.errors import UsageError
from infer.formats.encode import encoded, ending
from infer.formats.foreign_set import ForeignSet, as_classes, counted_by_class

if TYPE_CHECKING:
    import pyarrow

Features = dict[str, dict[str, Any]]
"""The entry of each column in the metadata that ``datasets`` writes."""

_ROWS_PER_GROUP = 1000  # what datasets' viewer expects to read at once
_LABELS = ("label", "fine_label")  # of several columns of classes, the first of these
_LOGITS, _PROBABILITIES = "logits", "soft_label"


def recognises(path: Path) -> bool:
    """True if ``path`` is a Parquet file, or a folder with some in it or in its ``data``."""
    return bool(files(path))


def files(path: Path) -> list[Path]:
    """The Parquet files, by name; of the training split where their names say a split."""
    if path.is_file():
        return [path] if path.suffix == ".parquet" else []
    found = sorted([*path.glob("*.parquet"), *path.glob("data/*.parquet")])
    return [file for file in found if file.name.startswith("train")] or found


def read(path: Path, num_classes: int | None) -> ForeignSet:
    """The images, decoded, their classes and class names, and soft labels where there is such a column."""
    _require_pyarrow()
    from pyarrow import parquet

    tables = [parquet.read_table(file) for file in files(path)]
    features = _features(tables[0].schema)
    image, label = (
        _column(path, tables[0].schema, features, "Image"),
        _column(path, tables[0].schema, features, "ClassLabel"),
    )
    pixels = [_decoded(cell, path) for table in tables for cell in table[image].to_pylist()]
    if len({one.shape for one in pixels}) != 1:
        raise UsageError(f"the images in {path} have different sizes: the images of a set have one size")
    targets = as_classes(_tensor([cell for table in tables for cell in table[label].to_pylist()], label, path), path)
    soft_labels = None
    soft = next((name for name in (_LOGITS, _PROBABILITIES) if name in tables[0].column_names), None)
    if soft is not None:
        soft_labels = _tensor([row for table in tables for row in table[soft].to_pylist()], soft, path)
    names = features.get(label, {}).get("names")
    return ForeignSet(torch.from_numpy(np.stack(pixels)), targets, names, soft_labels).require_square(path)


def write(folder: Path, images: Tensor, finished: ForeignSet, classes: Sequence[str], jpeg_quality: int | None) -> None:
    """Write ``images`` uint8 [N, 3, H, H] of the set ``finished`` into ``data/train-00000-of-00001.parquet``."""
    _require_pyarrow()
    import pyarrow.parquet

    soft = soft_label_column(finished)
    schema = _schema(classes, soft)
    file = folder / "data" / "train-00000-of-00001.parquet"
    file.parent.mkdir(parents=True)
    contents = encoded(images, jpeg_quality)
    numbers = counted_by_class(finished)
    with pyarrow.parquet.ParquetWriter(file, schema, compression="snappy") as writer:
        for rows in torch.arange(len(finished)).split(_ROWS_PER_GROUP):
            targets = finished.targets[rows].tolist()
            named = zip(targets, numbers[rows].tolist(), strict=True)
            paths = [f"class{target:05d}_id{number:05d}{ending(jpeg_quality)}" for target, number in named]
            cells = [{"bytes": next(contents), "path": path} for path in paths]
            columns: dict[str, Any] = {"image": cells, "label": targets}
            if soft is not None and finished.soft_labels is not None:
                columns[soft] = finished.soft_labels[rows].float().tolist()
            writer.write_table(pyarrow.Table.from_pydict(columns, schema))


def soft_label_column(finished: ForeignSet) -> str | None:
    """The name of the column of soft labels, which says whether they are logits; None without them."""
    if finished.soft_labels is None:
        return None
    return _PROBABILITIES if are_probabilities(finished.soft_labels) else _LOGITS


def _require_pyarrow() -> None:
    if importlib.util.find_spec("pyarrow") is None:
        raise UsageError(
            'Parquet needs pyarrow, which is not installed. Type: pip install "infer-distillation[parquet]"'
        )


def _schema(classes: Sequence[str], soft: str | None) -> "pyarrow.Schema":
    import pyarrow

    columns: list[tuple[str, pyarrow.DataType]] = [
        ("image", pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])),
        ("label", pyarrow.int64()),
    ]
    features: dict[str, Any] = {
        "image": {"_type": "Image"},
        "label": {"names": list(classes), "_type": "ClassLabel"},
    }
    if soft is not None:
        columns.append((soft, pyarrow.list_(pyarrow.float32())))
        features[soft] = {"feature": {"dtype": "float32", "_type": "Value"}, "_type": "Sequence"}
    metadata: dict[bytes | str, bytes | str] = {"huggingface": json.dumps({"info": {"features": features}})}
    return pyarrow.schema(columns, metadata=metadata)


def _features(schema: "pyarrow.Schema") -> Features:
    """The metadata's entry of each column; none without metadata."""
    written = (schema.metadata or {}).get(b"huggingface")
    features: Features = json.loads(written)["info"]["features"] if written else {}
    return features


def _column(path: Path, schema: "pyarrow.Schema", features: Features, kind: str) -> str:
    """The column of images, or of classes: by the metadata, else by its usual name."""
    found = [name for name, feature in features.items() if feature.get("_type") == kind and name in schema.names]
    usual = _LABELS if kind == "ClassLabel" else ("image", "img")
    for name in (*(name for name in usual if name in found), *found, *usual):
        if name in schema.names:
            return name
    raise UsageError(
        f"{path} has no column of kind {kind} (it has {', '.join(schema.names)}): name it {usual[0]!r}, or write the "
        "file with datasets"
    )


def _tensor(cells: list[Any], column: str, path: Path) -> Tensor:
    try:
        return torch.tensor(cells)
    except (RuntimeError, TypeError, ValueError) as error:  # text, empty cells, rows of several lengths
        reason = " ".join(str(error).split())
        raise UsageError(
            f"the column {column!r} of {path} holds no numbers, or not as many everywhere ({reason})"
        ) from error


def _decoded(cell: dict[str, Any] | bytes | None, path: Path) -> np.ndarray:
    """uint8 [3, H, W]."""
    content = cell["bytes"] if isinstance(cell, dict) else cell
    if not content:
        raise UsageError(f"{path} names image files instead of holding them: write it with embedded images")
    return decode_content(content, path, None).pixels.transpose(2, 0, 1)
