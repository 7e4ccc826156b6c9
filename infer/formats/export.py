"""A run's own copy of its distilled set, with its labels: one folder that ``infer.load`` opens anywhere."""

import shutil
from pathlib import Path

from infer.context import Context
from infer.formats.distilled import LABELS, read_manifest, write_labels, write_manifest
from infer.labels.base import Labels
from infer.labels.static import StaticLabels
from infer.methods.base import DistilledArtefact

_FOLDER = "distilled"


def write_distilled_folder(context: Context, images: DistilledArtefact, labels: Labels) -> Path | None:
    """Write ``<run>/distilled``; None when the set has not been made. Static labels go along once they are there."""
    if not context.store.exists(images):
        return None
    folder = context.run_folder / _FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    stored = context.folder(images)
    for file in stored.glob("*.safetensors"):
        shutil.copyfile(file, folder / file.name)
    label_files = {}
    if isinstance(labels, StaticLabels) and context.store.exists(labels):
        write_labels(folder, labels.logits())
        label_files = {LABELS: labels.label_bytes}
    manifest = read_manifest(stored)
    manifest["bytes"] |= label_files
    manifest["labels"] = {"mode": labels.mode}
    manifest["signature"] = images.signature
    write_manifest(folder, manifest)
    return folder
