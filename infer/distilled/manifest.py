"""The manifest of a distilled set in the format ``infer`` 1, read without torch."""

from pathlib import Path
from typing import Any

from infer.errors import UsageError
from infer.files import read_json
from infer.records.names import DISTILLED, MANIFEST

FORMAT = "infer"
FORMAT_VERSION = 1


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a distilled set; UsageError where there is none or one of another format."""
    path = folder / MANIFEST
    if not path.is_file():
        raise UsageError(f"{folder} holds no distilled set: there is no {MANIFEST}. Give a run's distilled/ folder")
    manifest: dict[str, Any] = read_json(path)
    if (manifest.get("format"), manifest.get("version")) != (FORMAT, FORMAT_VERSION):
        raise UsageError(
            f"{path} says format {manifest.get('format')!r} version {manifest.get('version')!r}; "
            f"this program reads {FORMAT!r} version {FORMAT_VERSION}"
        )
    return manifest


def infer_folder(path: Path) -> Path | None:
    """The folder with a manifest that ``path`` is, or that a run at ``path`` holds; None where there is none."""
    return next((folder for folder in (path, path / DISTILLED) if (folder / MANIFEST).is_file()), None)
