"""Parquet in the layout of Hugging Face's ``datasets``: one row per image, an encoded file and its class.

Columns: ``image`` struct<bytes: binary, path: string>, ``label`` int64 and, where there are soft labels, ``logits`` or,
for probabilities, ``soft_label``, list<float>. The class names stand in the schema's metadata, as JSON under
``huggingface``. Other column names (CIFAR's ``img`` and ``fine_label``, for example) are found by the metadata. Files
lie in the folder, in its ``data``, or as on the Hub in folders of a configuration and a split
(``plain_text/train-00000-of-00001.parquet``, ``default/train/0000.parquet``).
"""

import importlib.util
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from infer.data.decode import decode_content
from infer.data.walk import require_class_names
from infer.distilled.soft_labels import are_probabilities
from infer.errors import UsageError
from infer.formats.encode import encoded, ending
from infer.formats.foreign_set import ForeignSet, as_classes, counted_by_class
from infer.formats.pixels import of_one_size
from infer.tables import count
from infer.words import some

if TYPE_CHECKING:
    import pyarrow

Features = dict[str, dict[str, Any]]
"""The entry of each column in the metadata that ``datasets`` writes."""

_ROWS_PER_GROUP = 1000  # what datasets' viewer expects to read at once
_LABELS = ("label", "fine_label")  # of several columns of classes, the first of these
_LOGITS, _PROBABILITIES = "logits", "soft_label"
_TRAIN = "train"
_SPLITS = {
    word: split
    for split, words in {
        _TRAIN: ("train", "training"),
        "test": ("test", "testing", "eval", "evaluation"),
        "validation": ("validation", "valid", "dev", "val"),
    }.items()
    for word in words
}
"""The split that a word in a file's or a folder's name says; the words are those of ``datasets``."""
_MOST_NAMED = 6


def recognises(path: Path) -> bool:
    """True if ``path`` is a Parquet file, or a folder with some in one of the layouts."""
    return bool(_found(path))


def files(path: Path) -> list[Path]:
    """The Parquet files of one split, by name: of the training split where there are several.

    Raises UsageError where they are of several sets, or of several splits without one for training.
    """
    parts: dict[tuple[str, str | None], list[Path]] = {}
    for file in _found(path):
        parts.setdefault(_part_of(file, path), []).append(file)
    places = {place for place, _ in parts}
    chosen = [part for part in parts if part[1] == _TRAIN] or list(parts)
    if len(places) > 1 or len(chosen) > 1:
        first_files = [str(file.relative_to(path)) for several in parts.values() for file in several[:1]]
        raise UsageError(
            f"{path} holds {len(parts)} sets or splits in Parquet ({some(first_files, _MOST_NAMED)}). Give one file, "
            "or a folder with the files of one"
        )
    return [file for part in chosen for file in parts[part]]


def read(path: Path, num_classes: int | None) -> ForeignSet:
    """The images, decoded, their classes and class names, and soft labels where there is such a column.

    Raises UsageError where files are damaged, differ in their columns or classes, or hold no set.
    """
    _require_pyarrow()
    found = files(path)
    tables = [_table(file) for file in found]
    schema, features = tables[0].schema, _features(tables[0].schema, found[0])
    image, label = _column(path, schema, features, "Image"), _column(path, schema, features, "ClassLabel")
    soft = next((name for name in (_LOGITS, _PROBABILITIES) if name in schema.names), None)
    names = _class_names(features, label, found[0])
    needed = [name for name in (image, label, soft) if name is not None]
    for file, table in zip(found, tables, strict=True):
        if absent := set(needed) - set(table.schema.names):
            raise UsageError(f"{file} has no column {min(absent)!r}, and {found[0]} has: they are not of one set")
        if _class_names(_features(table.schema, file), label, file) != names:
            raise UsageError(f"{file} has other classes than {found[0]}: they are not of one set")
    if not sum(map(len, tables)):
        raise UsageError(f"{path} holds no rows: a set has an image at least")
    pixels = of_one_size(_decoded(found, tables, image), sum(map(len, tables)))
    targets = as_classes(_tensor(_cells(found, tables, label), label, path), path)
    soft_labels = None if soft is None else _tensor(_cells(found, tables, soft), soft, path)
    notes = _passed_over(path, found)
    return ForeignSet(pixels, targets, names, soft_labels, notes=notes).require_square(path)


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


def _found(path: Path) -> list[Path]:
    """All Parquet files of the layouts; those of a subfolder count where its name or theirs says a split."""
    if path.is_file():
        return [path] if path.suffix == ".parquet" else []
    here = sorted(path.glob("*.parquet"))
    folders = ("*", *(f"*/{word}" for word in _SPLITS))  # not "*/*": a tree may hold a million files there
    below = sorted(file for folder in folders for file in path.glob(f"{folder}/*.parquet"))
    of_splits = [file for file in below if file.parent == path / "data" or _part_of(file, path)[1] is not None]
    return [file for file in (*here, *of_splits) if file.is_file() and not _is_hidden(file.relative_to(path))]


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _part_of(file: Path, path: Path) -> tuple[str, str | None]:
    """The folder of a file, less what says its split, and the split; None where nothing says it."""
    *folders, stem = file.relative_to(path).with_suffix("").parts if file != path else (file.stem,)
    said = [split for part in (*folders, stem) if (split := _split_in(part))]
    return "/".join(folder for folder in folders if not _split_in(folder)), said[-1] if said else None


def _split_in(name: str) -> str | None:
    words = [_SPLITS[word] for word in re.split(r"[\W\d_]+", name.lower()) if word in _SPLITS]
    return words[-1] if words else None


def _passed_over(path: Path, found: Sequence[Path]) -> list[str]:
    """Remark on the files of other splits."""
    others = [file for file in _found(path) if file not in found]
    return (
        [f"{count(found, 'file')} of the training split read, {count(others, 'file')} of others not"] if others else []
    )


def _table(file: Path) -> "pyarrow.Table":
    import pyarrow
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(file).read()
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise _damaged(file, error) from error


def _cells(found: Sequence[Path], tables: "Sequence[pyarrow.Table]", column: str) -> list[Any]:
    """The values of a column, file by file."""
    return [cell for file, table in zip(found, tables, strict=True) for cell in _cells_of(file, table, column)]


def _cells_of(file: Path, table: "pyarrow.Table", column: str) -> list[Any]:
    import pyarrow

    try:
        return table[column].to_pylist()
    except (pyarrow.ArrowException, ValueError) as error:  # text that is not UTF-8
        raise _damaged(file, error) from error


def _damaged(file: Path, error: Exception) -> UsageError:
    return UsageError(
        f"{file} cannot be read as Parquet ({' '.join(str(error).split())}): it is damaged or another kind"
    )


def _features(schema: "pyarrow.Schema", file: Path) -> Features:
    """The metadata's entry of each column; none without metadata. Raises UsageError where they are damaged."""
    written = (schema.metadata or {}).get(b"huggingface")
    try:
        features = json.loads(written)["info"]["features"] if written else {}
        if not isinstance(features, dict) or not all(isinstance(feature, dict) for feature in features.values()):
            raise TypeError("its features are no columns")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(
            f"{file} has metadata of 'huggingface' that cannot be read ({' '.join(str(error).split())}): they name the "
            "classes. Write the file again with datasets"
        ) from error
    return features


def _class_names(features: Features, label: str, file: Path) -> list[str] | None:
    """The names of the classes; None where there are none. Raises UsageError for such as are none."""
    names = features.get(label, {}).get("names")
    if names is None:
        return None
    if not isinstance(names, list):
        raise UsageError(f"{file} names the classes {names!r}, and not in a list. Write the file again with datasets")
    require_class_names(names, file)
    return names


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
    if None in cells:
        raise UsageError(f"the column {column!r} of {path} has an empty cell (row {cells.index(None)})")
    if cells and isinstance(cells[0], str):
        raise UsageError(
            f"the column {column!r} of {path} holds texts, and numbers are wanted. Write names of classes "
            "with datasets, as ClassLabel"
        )
    try:
        return torch.tensor(cells)
    except (RuntimeError, TypeError, ValueError) as error:  # text, rows of several lengths
        reason = " ".join(str(error).split())
        raise UsageError(
            f"the column {column!r} of {path} holds no numbers, or not as many everywhere ({reason})"
        ) from error


def _decoded(
    found: Sequence[Path], tables: "Sequence[pyarrow.Table]", column: str
) -> Iterator[tuple[object, np.ndarray]]:
    """The images uint8 [H, W, 3] of all files, each beside its place."""
    for file, table in zip(found, tables, strict=True):
        for row, cell in enumerate(_cells_of(file, table, column)):
            content = cell.get("bytes") if isinstance(cell, dict) else cell
            if not content:
                raise UsageError(
                    f"{file} names image files, or none, instead of holding them (row {row}): write it with embedded "
                    "images"
                )
            place = f"row {row} of {file}"
            yield place, decode_content(content, place, None).pixels
