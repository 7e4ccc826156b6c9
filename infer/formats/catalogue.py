"""Formats of distilled images by name, and their detection from a path."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from infer.errors import UsageError
from infer.formats import parquet, parquet_files, tensors, trees
from infer.formats.foreign_set import ForeignSet, Rounding
from infer.formats.names import AUTO, FORMATS
from infer.normalisation import Normalisation

_FKD = "epoch_0/batch_0.tar"


@dataclass(frozen=True)
class Target:
    """Destination and encoding of a set to write."""

    folder: Path
    """Folder to write to, which exists and is empty."""
    classes: Sequence[str]
    normalisation: Normalisation
    jpeg_quality: int | None = None
    """Quality of JPEG files; None for PNG."""


@dataclass(frozen=True)
class Format:
    """Detection, reading and writing of a format."""

    recognises: Callable[[Path], bool]
    files: Callable[[Path], list[Path]]
    """Returns all files that the content depends on, in a fixed order."""
    read: Callable[[Path, int | None], ForeignSet]
    """Returns the set at a path; the second argument is the number of classes if it is known."""
    write: Callable[[ForeignSet, Target], Rounding | None]
    """Writes a set, and returns the loss by rounding to uint8."""


def find_format(path: Path, given: str = AUTO) -> tuple[str, Format]:
    """The format of ``path``: ``given``, or with ``auto`` the first that recognises it.

    Raises UsageError where no format, or not the given one, recognises it.
    """
    if not path.exists():
        raise UsageError(f"{path} does not exist. Give the folder or file of a distilled set")
    if given != AUTO:
        if not _CATALOGUE[given].recognises(path):
            raise UsageError(f"{path} is not of the format {given}: there is no {FORMATS[given]}. Type --format {AUTO}")
        return given, _CATALOGUE[given]
    for name, candidate in _CATALOGUE.items():
        if candidate.recognises(path):
            return name, candidate
    if (path / _FKD).is_file():
        raise UsageError(
            f"{path} holds FKD labels ({_FKD}) and no images. Give the folder of the images, and "
            f"labeling=fkd labeling.path={path} beside it"
        )
    looked_for = "; ".join(f"{name}: {content}" for name, content in FORMATS.items())
    raise UsageError(f"{path} holds no distilled images in a known format. Looked for: {looked_for}")


def write(name: str, finished: ForeignSet, target: Target) -> Rounding | None:
    """Write ``finished`` in the format ``name``, and return the loss by rounding to uint8, if any."""
    return _CATALOGUE[name].write(finished, target)


def _write_tree(layout: trees.Layout, finished: ForeignSet, target: Target) -> Rounding | None:
    images, loss = finished.as_bytes(target.normalisation)
    trees.write(layout, target.folder, images, finished, target.classes, target.jpeg_quality)
    return loss


def _write_parquet(finished: ForeignSet, target: Target) -> Rounding | None:
    images, loss = finished.as_bytes(target.normalisation)
    parquet.write(target.folder, images, finished, target.classes, target.jpeg_quality)
    return loss


def _write_triple(suffix: str, finished: ForeignSet, target: Target) -> None:
    tensors.write_triple(suffix, target.folder, finished.normalised(target.normalisation), finished)


def _write_dc(finished: ForeignSet, target: Target) -> None:
    images = finished.normalised(target.normalisation)
    tensors.write_dc(target.folder / "data.pt", images, finished)


def _write_initial(finished: ForeignSet, target: Target) -> None:
    images = finished.normalised(target.normalisation)
    tensors.write_initial(target.folder, images, finished, len(target.classes))


def _tree(layout: trees.Layout) -> Format:
    return Format(
        partial(trees.recognises, layout),
        partial(trees.files, layout),
        partial(trees.read, layout),
        partial(_write_tree, layout),
    )


def _triple(suffix: str) -> Format:
    return Format(
        partial(tensors.recognises_triple, suffix),
        partial(tensors.triple_files, suffix),
        partial(tensors.read_triple, suffix),
        partial(_write_triple, suffix),
    )


_CATALOGUE = {
    "ddranking": _triple(tensors.DDRANKING),
    "mtt": _triple(tensors.MTT),
    "initial": Format(tensors.recognises_initial, tensors.initial_files, tensors.read_initial, _write_initial),
    "dc": Format(tensors.recognises_dc, lambda path: [path], tensors.read_dc, _write_dc),
    "parquet": Format(parquet_files.recognises, parquet_files.files, parquet.read, _write_parquet),
    "sre2l": _tree(trees.SRE2L),
    "rded": _tree(trees.RDED),
    "imagefolder": _tree(trees.IMAGEFOLDER),
}
