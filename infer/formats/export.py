"""A run's own copy of its distilled set, with its labels: one folder that ``infer.load`` opens anywhere."""

import shutil
from pathlib import Path

from infer.context import Context
from infer.formats.distilled import read_manifest, write_labels, write_manifest
from infer.labels.static import StaticLabels
from infer.trials import Trial

_FOLDER = "distilled"


def write_distilled_folder(context: Context, trial: Trial) -> Path | None:
    """Write ``<run>/distilled``; None when the set has not been made. Static labels go along once they are there."""
    images, labels = trial.material.images, trial.material.labels
    if not context.store.exists(images):
        return None
    folder = context.run_folder / _FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    stored = context.folder(images)
    for file in stored.glob("*.safetensors"):
        shutil.copyfile(file, folder / file.name)
    manifest = read_manifest(stored) | {"signature": images.signature, "storage": trial.storage()}
    if isinstance(labels, StaticLabels):
        if context.store.exists(labels):
            write_labels(folder, labels.logits())
            manifest["labels"] = {"mode": labels.mode, "signature": labels.signature}
    else:
        manifest["labels"] = {"mode": labels.mode}
    write_manifest(folder, manifest)
    return folder
