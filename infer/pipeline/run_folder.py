"""A run's copy of its distilled set with labels, in one folder that ``infer.load`` can open on any machine."""

import shutil
from pathlib import Path
from typing import Any

from infer.context import Context
from infer.data.imagenet import in_words
from infer.distilled.folder import write_labels, write_manifest
from infer.distilled.manifest import read_manifest
from infer.errors import UsageError
from infer.evaluation.comparison import Evaluation
from infer.labels.base import Labels
from infer.labels.fkd import FkdLabels
from infer.labels.from_set import SetLabels
from infer.labels.static import StaticLabels
from infer.methods.sets.base import DistilledArtefact
from infer.records.names import DISTILLED, LABELS, LOG, PROGRESS, RESULT, tensor_file
from infer.store import Artefact


def require_own_folder(folder: Path, outputs: Path) -> None:
    """Raise UsageError where a run in ``folder`` could replace files that do not belong to an earlier run."""
    if folder.resolve() == outputs.resolve():
        raise UsageError(f"hydra.run.dir={folder} is the folder of all artefacts. Leave it out, or give one of its own")
    others = sorted(path.name for path in folder.iterdir() if path.name not in (".hydra", LOG, PROGRESS))
    if others and not (folder / RESULT).is_file():
        raise UsageError(
            f"hydra.run.dir={folder} holds files that belong to no run ({', '.join(others[:5])}) and that a run could "
            "replace. Leave it out, or give a folder of its own"
        )


def write_distilled_folder(context: Context, evaluation: Evaluation) -> Path | None:
    """Write ``<run>/distilled``, with the labels if they are stored and exist; None where the set does not exist."""
    images, labels = evaluation.labelled.images, evaluation.labelled.labels
    if not isinstance(images, DistilledArtefact) or not context.store.exists(images):
        return None
    folder = context.run_folder / DISTILLED
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    stored = context.folder(images)
    made = read_manifest(stored)
    for name in made["files"]:
        shutil.copyfile(stored / name, folder / name)
    manifest = made | {"signature": images.signature, "storage": evaluation.storage()}
    titles = in_words(manifest["dataset"]["classes"])
    if titles != manifest["dataset"]["classes"]:
        manifest["dataset"]["class_titles"] = titles
    if all(context.store.exists(part) for part in _stored_parts(labels)):
        manifest["labels"] = _write_labels(context, labels, folder)
    write_manifest(folder, manifest)
    return folder


def _stored_parts(labels: Labels) -> list[Artefact]:
    """The artefacts that hold the labels; empty where labels are not stored."""
    if isinstance(labels, FkdLabels):
        return list(labels.chunks)
    return [labels] if isinstance(labels, Artefact) else []


def _write_labels(context: Context, labels: Labels, folder: Path) -> dict[str, Any]:
    """Write the stored part of ``labels`` into ``folder``; returns the entry for the manifest."""
    match labels:
        case StaticLabels():
            write_labels(folder, labels.logits())
            return {"mode": labels.mode, "signature": labels.signature}
        case SetLabels():
            shutil.copyfile(labels.file, folder / tensor_file(LABELS))
            return {"mode": labels.mode, "signature": labels.signature, "are": labels.kind_of_values}
        case FkdLabels():
            return labels.write_into(folder)
        case _:
            return {"mode": labels.mode}
