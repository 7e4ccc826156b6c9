"""The package's own folders as a format: reading finished images from one, writing imported images to a new one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from infer.distilled.folder import load, read_soft_labels, write_images
from infer.distilled.manifest import lists
from infer.distilled.soft_labels import are_probabilities
from infer.errors import UsageError
from infer.formats.foreign_set import ForeignSet, Rounding
from infer.normalisation import Normalisation
from infer.records.names import IMAGES, LABELS, tensor_file
from infer.store.files import load_tensors, save_tensors


def read_folder(folder: Path) -> tuple[ForeignSet, Mapping[str, Any]]:
    """The verified set in a folder, and its manifest. Images are uint8 if they are stored so, otherwise composed."""
    opened = load(folder)
    manifest = opened.manifest
    finished = ForeignSet(
        opened.images,
        opened.targets,
        opened.classes,
        read_soft_labels(folder, manifest),
        manifest.get("student_lr"),
    )
    if lists(manifest, IMAGES):
        finished = replace(finished, pixels=load_tensors(folder / tensor_file(IMAGES))[IMAGES])
    return finished.require_finite(folder), manifest


def write_folder(
    folder: Path,
    finished: ForeignSet,
    dataset: dict[str, Any],
    normalised_by: Normalisation,
    source: str,
) -> Rounding | None:
    """Write ``finished`` as an ``infer`` folder with uint8 images, and return the loss by rounding.

    ``dataset`` is the entry for the data set in the manifest, ``normalised_by`` the normalisation of images that are
    not uint8, and ``source`` the name of the original format.
    """
    images, loss = finished.as_bytes(normalised_by)
    manifest: dict[str, Any] = {
        "method": "imported",
        "source": source,
        "dataset": dataset,
        "sizes": {"N": len(images), "C": len(dataset["classes"])},
        "bytes": {"natural": images.numel()},
        "ipc_charged": len(images) / len(dataset["classes"]),
    }
    if loss:
        manifest["rounding"] = {"largest_error": loss.largest_error, "clipped": loss.clipped}
    if finished.student_lr is not None:
        manifest["student_lr"] = finished.student_lr
    if finished.soft_labels is not None:
        save_tensors(folder / tensor_file(LABELS), {"logits": finished.soft_labels})
        manifest["labels"] = {
            "mode": "imported",
            "are": "probabilities" if are_probabilities(finished.soft_labels) else "logits",
        }
    write_images(folder, images, finished.targets, manifest)
    return loss


def require_classes(source: object, finished: ForeignSet, classes: Sequence[str], whose: str) -> None:
    """Raise UsageError where the classes of the set do not fit ``classes``, those of ``whose``, by name or number."""
    named = finished.classes
    if named is not None and list(named) != list(classes):
        told = _first_difference(named, classes, whose)
        raise UsageError(
            f"{source} has other classes than {whose}: {told}. Labels are numbers in this order: rename or reorder the "
            "classes, or give the data set that they belong to"
        )
    if not 0 <= int(finished.targets.min()) <= int(finished.targets.max()) < len(classes):
        raise UsageError(
            f"{source} has images of classes {int(finished.targets.min())} to {int(finished.targets.max())}, and "
            f"{whose} has {len(classes)} classes, 0 to {len(classes) - 1}"
        )
    if finished.soft_labels is not None and finished.soft_labels.shape[1] != len(classes):
        raise UsageError(
            f"{source} has soft labels of {finished.soft_labels.shape[1]} classes, {whose} has {len(classes)}"
        )


def require_size(source: object, finished: ForeignSet, image_size: int, whose: str) -> None:
    """Raise UsageError where the images do not have ``image_size``, that of ``whose``."""
    if finished.image_size != image_size:
        raise UsageError(
            f"{source} has images of {finished.image_size}x{finished.image_size} pixels, and {whose} of "
            f"{image_size}x{image_size}. Give the data set in that size (folder: dataset.resize={finished.image_size})"
        )


def _first_difference(named: Sequence[str], classes: Sequence[str], whose: str) -> str:
    if len(named) != len(classes):
        return f"{len(named)} of them ({named[0]!r} to {named[-1]!r}), not {len(classes)}"
    place = next(c for c, pair in enumerate(zip(named, classes, strict=True)) if pair[0] != pair[1])
    same = ", the same names in another order" if sorted(named) == sorted(classes) else ""
    return f"class {place} is {named[place]!r} there and {classes[place]!r} in {whose}{same}"
