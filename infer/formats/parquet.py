"""Parquet in the layout of Hugging Face's ``datasets``: one row per image, with an encoded file and its class.

Columns are ``image``, struct<bytes: binary, path: string>, ``label``, int64, and for soft labels ``logits`` or, for
probabilities, ``soft_label``, list<float>. The class names are in the schema's metadata, as JSON under ``huggingface``.
Columns with other names (CIFAR's ``img`` and ``fine_label``, for example) are found by the metadata.
"""

import importlib.util
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from infer.data.decode import decode_content
from infer.data.walk import require_class_names
from infer.distilled.soft_labels import are_probabilities
from infer.errors import UsageError
from infer.formats.encode import encoded, ending
from infer.formats.foreign_set import ForeignSet, as_classes, counted_by_class
from infer.formats.parquet_files import files, note_of_other_splits
from infer.formats.pixels import of_one_size

if TYPE_CHECKING:
    import pyarrow

Features = dict[str, dict[str, Any]]
"""Entry of each column in the metadata that ``datasets`` writes."""
Tables = Mapping[Path, "pyarrow.Table"]
"""Content of each file of a set, in order."""

_ROWS_PER_GROUP = 1000  # the number that the viewer of datasets expects to read together
_LABELS = ("label", "fine_label")  # preferred names where there are several columns of classes
_LOGITS, _PROBABILITIES = "logits", "soft_label"


class _Columns(NamedTuple):
    """Names of the columns of a set, and of its classes if they are known."""

    image: str
    label: str
    soft: str | None
    class_names: list[str] | None


def read(path: Path, num_classes: int | None) -> ForeignSet:
    """The set at ``path``, with decoded images, and soft labels if there is such a column.

    Raises UsageError where files are damaged, differ in their columns or classes, or do not contain a set.
    """
    _require_pyarrow()
    tables = {file: _table(file) for file in files(path)}
    columns = _common_columns(path, tables)
    num_rows = sum(map(len, tables.values()))
    if not num_rows:
        raise UsageError(f"{path} holds no rows: a set has an image at least")
    pixels = of_one_size(_decoded(tables, columns.image), num_rows)
    targets = as_classes(_tensor(tables, columns.label, path), path)
    soft_labels = None if columns.soft is None else _tensor(tables, columns.soft, path)
    notes = note_of_other_splits(path, tables)
    return ForeignSet(pixels, targets, columns.class_names, soft_labels, notes=notes).require_square(path)


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
    """Name of the column of soft labels, which is different for logits and probabilities; None without soft labels."""
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


def _table(file: Path) -> "pyarrow.Table":
    import pyarrow
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(file).read()
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise _damaged(file, error) from error


def _common_columns(path: Path, tables: Tables) -> _Columns:
    """The columns of the first file. Raises UsageError where another file lacks one of them or has other classes."""
    first, *_ = tables
    schema, features = tables[first].schema, _features(tables[first].schema, first)
    image, label = _column(path, schema, features, "Image"), _column(path, schema, features, "ClassLabel")
    soft = next((name for name in (_LOGITS, _PROBABILITIES) if name in schema.names), None)
    names = _class_names(features, label, first)
    needed = [name for name in (image, label, soft) if name is not None]
    for file, table in tables.items():
        if absent := set(needed) - set(table.schema.names):
            raise UsageError(f"{file} has no column {min(absent)!r}, and {first} has: they do not belong to one set")
        if _class_names(_features(table.schema, file), label, file) != names:
            raise UsageError(f"{file} has other classes than {first}: they do not belong to one set")
    return _Columns(image, label, soft, names)


def _features(schema: "pyarrow.Schema", file: Path) -> Features:
    """Entry of each column in the metadata; empty without metadata. Raises UsageError where they are damaged."""
    written = (schema.metadata or {}).get(b"huggingface")
    try:
        features = json.loads(written)["info"]["features"] if written else {}
        if not isinstance(features, dict) or not all(isinstance(feature, dict) for feature in features.values()):
            raise TypeError("its features are not columns")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(
            f"{file} has metadata of 'huggingface' that cannot be read ({' '.join(str(error).split())}): they name the "
            "classes. Write the file again with datasets"
        ) from error
    return features


def _class_names(features: Features, label: str, file: Path) -> list[str] | None:
    """The names of the classes; None where there are none. Raises UsageError for names that are not allowed."""
    names = features.get(label, {}).get("names")
    if names is None:
        return None
    if not isinstance(names, list):
        raise UsageError(f"{file} names the classes {names!r}, which is not a list. Write the file again with datasets")
    require_class_names(names, file)
    return names


def _column(path: Path, schema: "pyarrow.Schema", features: Features, kind: str) -> str:
    """Name of the column of images or classes, by the metadata or else by its usual name."""
    found = [name for name, feature in features.items() if feature.get("_type") == kind and name in schema.names]
    usual = _LABELS if kind == "ClassLabel" else ("image", "img")
    for name in (*(name for name in usual if name in found), *found, *usual):
        if name in schema.names:
            return name
    raise UsageError(
        f"{path} has no column of kind {kind} (it has {', '.join(schema.names)}): name it {usual[0]!r}, or write the "
        "file with datasets"
    )


def _tensor(tables: Tables, column: str, path: Path) -> Tensor:
    """The numbers in ``column`` of all files. Raises UsageError where there are others than numbers."""
    cells = [cell for file, table in tables.items() for cell in _cells_of(file, table, column)]
    if None in cells:
        raise UsageError(f"the column {column!r} of {path} has an empty cell (row {cells.index(None)})")
    if cells and isinstance(cells[0], str):
        raise UsageError(
            f"the column {column!r} of {path} holds text, and numbers are needed. Write names of classes "
            "with datasets, as ClassLabel"
        )
    try:
        return torch.tensor(cells)
    except (RuntimeError, TypeError, ValueError) as error:  # text, or rows of different lengths
        reason = " ".join(str(error).split())
        raise UsageError(
            f"the column {column!r} of {path} does not hold the same number of numbers in every row ({reason})"
        ) from error


def _decoded(tables: Tables, column: str) -> Iterator[tuple[object, np.ndarray]]:
    """The images of all files, uint8 [H, W, 3], each with its place for messages."""
    for file, table in tables.items():
        for row, cell in enumerate(_cells_of(file, table, column)):
            content = cell.get("bytes") if isinstance(cell, dict) else cell
            if not content:
                raise UsageError(
                    f"{file} holds no image in row {row}, at most the name of a file: write it with embedded images"
                )
            place = f"row {row} of {file}"
            yield place, decode_content(content, place, None).pixels


def _cells_of(file: Path, table: "pyarrow.Table", column: str) -> list[Any]:
    import pyarrow

    try:
        return table[column].to_pylist()
    except (pyarrow.ArrowException, ValueError) as error:  # text that is not UTF-8
        raise _damaged(file, error) from error


def _damaged(file: Path, error: Exception) -> UsageError:
    return UsageError(
        f"{file} cannot be read as Parquet ({' '.join(str(error).split())}): it is damaged or of another kind"
    )
