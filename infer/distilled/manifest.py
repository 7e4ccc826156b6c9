"""The manifest of a distilled set in the format ``infer`` 1, read without torch."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infer.errors import UsageError
from infer.files import has_broken_seal, read_json
from infer.records.names import DISTILLED, MANIFEST, tensor_file

FORMAT = "infer"
FORMAT_VERSION = 1
_CHANNELS = 3


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a distilled set. Raises UsageError where it is missing, damaged or of another format."""
    path = folder / MANIFEST
    if not path.is_file():
        raise UsageError(f"{folder} holds no distilled set: there is no {MANIFEST}. Give a run's distilled/ folder")
    try:
        manifest: Any = read_json(path)
    except (OSError, ValueError) as error:
        raise _damaged(path, f"it cannot be read: {error}") from error
    if not isinstance(manifest, dict):
        raise _damaged(path, "it holds no entries")
    if (manifest.get("format"), manifest.get("version")) != (FORMAT, FORMAT_VERSION):
        raise UsageError(
            f"{path} says format {manifest.get('format')!r} version {manifest.get('version')!r}; "
            f"this program reads {FORMAT!r} version {FORMAT_VERSION}"
        )
    if has_broken_seal(manifest):
        raise _damaged(path, "it is not what was written")
    if fault := _fault(manifest):
        raise _damaged(path, fault)
    return manifest


def lists(manifest: Mapping[str, Any], name: str) -> bool:
    """True if the manifest lists the tensors ``name``; other files in the folder do not belong to the set."""
    return tensor_file(name) in manifest["files"]


def infer_folder(path: Path) -> Path | None:
    """The folder of a set at ``path``, which is the folder itself or that of a run; None where there is no manifest."""
    return next((folder for folder in (path, path / DISTILLED) if (folder / MANIFEST).is_file()), None)


def _damaged(path: Path, fault: str) -> UsageError:
    return UsageError(f"{path} is damaged ({fault}). Make the set again: python launch.py, or fetch it again")


def _fault(manifest: Mapping[str, Any]) -> str | None:
    """Description of a fault in the entries that all readers rely on; None where there is none."""
    files, dataset = manifest.get("files"), manifest.get("dataset")
    if not isinstance(files, dict) or not all(map(_is_listed, files.items())):
        return "files are not names with checksums"
    if not isinstance(dataset, dict):
        return "dataset holds no entries"
    classes = dataset.get("classes")
    if not isinstance(classes, list) or not classes or not all(isinstance(name, str) for name in classes):
        return "dataset.classes are not names"
    if not _are_numbers(dataset.get("mean")):
        return f"dataset.mean is not {_CHANNELS} numbers"
    if not _are_numbers(dataset.get("std")) or not min(dataset["std"]) > 0:
        return f"dataset.std is not {_CHANNELS} numbers above 0"
    if not isinstance(manifest.get("labels", {}), dict):
        return "labels hold no entries"
    return None


def _is_listed(entry: tuple[str, Any]) -> bool:
    """True if ``entry`` is the name of a file directly in the folder, with a checksum."""
    name, facts = entry
    return "/" not in name and isinstance(facts, dict) and isinstance(facts.get("sha256"), str)


def _are_numbers(values: Any) -> bool:
    return (
        isinstance(values, list)
        and len(values) == _CHANNELS
        and all(isinstance(value, int | float) and math.isfinite(value) for value in values)
    )
