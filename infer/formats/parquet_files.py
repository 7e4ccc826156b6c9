"""Search for the Parquet files of one set and one split, in the layouts of Hugging Face's ``datasets``.

Files are in the folder, in its subfolder ``data``, or as on the Hub in folders of a configuration and a split
(``plain_text/train-00000-of-00001.parquet``, ``default/train/0000.parquet``).
"""

import re
from collections.abc import Collection
from pathlib import Path

from infer.errors import UsageError
from infer.tables import count
from infer.words import some

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
"""Split by the word for it in the name of a file or folder; the words are those of ``datasets``."""
_MOST_NAMED = 6


def recognises(path: Path) -> bool:
    """True if ``path`` is a Parquet file, or a folder with Parquet files in one of the layouts."""
    return bool(_found(path))


def files(path: Path) -> list[Path]:
    """The Parquet files of one split, sorted by name; where there are several splits, those of the training split.

    Raises UsageError for files of several sets, or of several splits without a training split.
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


def note_of_other_splits(path: Path, found: Collection[Path]) -> list[str]:
    """Remark on the files of other splits, which are not in ``found``; empty where there are none."""
    others = [file for file in _found(path) if file not in found]
    if not others:
        return []
    return [f"{count(found, 'file')} of the training split read, {count(others, 'file')} of other splits left out"]


def _found(path: Path) -> list[Path]:
    """All Parquet files in the layouts. Files in a subfolder count if its name or theirs contains that of a split."""
    if path.is_file():
        return [path] if path.suffix == ".parquet" else []
    here = sorted(path.glob("*.parquet"))
    folders = ("*", *(f"*/{word}" for word in _SPLITS))  # not "*/*", where a tree may have a million files
    below = sorted(file for folder in folders for file in path.glob(f"{folder}/*.parquet"))
    of_splits = [file for file in below if file.parent == path / "data" or _part_of(file, path)[1] is not None]
    return [file for file in (*here, *of_splits) if file.is_file() and not _is_hidden(file.relative_to(path))]


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _part_of(file: Path, path: Path) -> tuple[str, str | None]:
    """Folder of a file without the parts that name its split, and the split; None where it is not named."""
    *folders, stem = file.relative_to(path).with_suffix("").parts if file != path else (file.stem,)
    said = [split for part in (*folders, stem) if (split := _split_in(part))]
    return "/".join(folder for folder in folders if not _split_in(folder)), said[-1] if said else None


def _split_in(name: str) -> str | None:
    words = [_SPLITS[word] for word in re.split(r"[\W\d_]+", name.lower()) if word in _SPLITS]
    return words[-1] if words else None
