"""``infer import`` and ``infer export``: conversion between an ``infer`` folder and the formats of other programs."""

import argparse
import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from infer.commands.composition import settings_of_words
from infer.commands.hub import complete_hub_folder
from infer.config.dataset import check_statistics
from infer.data import load
from infer.data.base import Facts
from infer.data.paths import expand, possible
from infer.data.walk import require_class_names
from infer.distilled.manifest import infer_folder
from infer.errors import UsageError
from infer.files import read_regular, require_writable
from infer.formats.catalogue import Target, find_format, write
from infer.formats.foreign_set import ForeignSet
from infer.formats.infer_folder import read_folder, require_classes, require_size, write_folder
from infer.formats.names import HOLD_IMAGE_FILES, HOLD_SOFT_LABELS, HUB
from infer.normalisation import Normalisation
from infer.records.find import pick_run
from infer.records.names import CACHE
from infer.tables import Report
from infer.words import shell_line

_UPLOAD = "choose a license in its README.md; to share it: hf upload NAME/DATASET {} --repo-type dataset"


def import_set(options: argparse.Namespace) -> Report:
    """Read ``options.source`` and write it as a self-contained folder of the ``infer`` format."""
    source = expand(options.source)
    if infer_folder(source):
        raise UsageError(
            f"{source} is a folder of infer's own format: nothing has to be imported. Type infer evaluate {source}"
        )
    check_statistics(options.mean, options.std, prefix="--")
    facts = _facts(options.dataset, options.settings, options.outputs)
    typed_names = _names_in(options.classes) if options.classes else None
    name, form = find_format(source, options.format)
    expected = typed_names or (facts and facts.classes)
    finished = form.read(source, len(expected) if expected else None)
    dataset = _dataset(source, finished, facts, typed_names, options)
    normalised_by = Normalisation.of(options.mean or dataset["mean"], options.std or dataset["std"])
    with new_folder(options.to) as folder:
        loss = write_folder(folder, finished, dataset, normalised_by, name)
    notes = [*finished.notes, *([loss.in_words] if loss else [])]
    next_command = f"train students on it: infer evaluate {options.to}"
    return _report(f"{source}, format {name}", finished, dataset, options.to, notes, next_command)


def export_set(options: argparse.Namespace) -> Report:
    """Write the distilled set of a run, or of a folder, in the format of another program."""
    folder = _folder_of(options)
    if options.jpeg is not None and options.format not in HOLD_IMAGE_FILES:
        raise UsageError(f"--jpeg has no effect on the format {options.format}, which stores numbers. Leave it out")
    finished, manifest = read_folder(folder)
    dataset = manifest["dataset"]
    for_hub = options.format == HUB
    with new_folder(options.to) as new:
        target = Target(new, dataset["classes"], Normalisation.of(dataset["mean"], dataset["std"]), options.jpeg)
        loss = write("parquet" if for_hub else options.format, finished, target)
        notes = [*([loss.in_words] if loss else []), *_not_kept(options, finished)]
        if for_hub:
            complete_hub_folder(new, folder, finished, manifest, notes)
    closing = [_UPLOAD.format(shell_line([str(options.to)]))] if for_hub else []
    return _report(f"{folder}, as {options.format}", finished, dataset, options.to, notes, *closing)


def export_labels(options: argparse.Namespace) -> Report:
    """Write the stored dynamic labels of a run, or of a folder with a set, as an FKD folder."""
    from infer.formats.fkd_conversion import export_fkd

    source = _folder_of(options)
    with new_folder(options.to) as new:
        written = export_fkd(source, new)
    note = "they number images in the order of the trees that infer export writes of this set: sre2l, rded, imagefolder"
    data = {"folder": str(options.to), "batches": written, "notes": [note]}
    return Report(data, lines=[f"{source}: {written} batches of labels", note], closing=[f"written to {options.to}"])


def _report(
    what: str, finished: ForeignSet, dataset: dict[str, Any], to: Path, notes: list[str], *closing: str
) -> Report:
    size, classes = finished.image_size, len(dataset["classes"])
    return Report(
        {"folder": str(to), "images": len(finished), "classes": classes, "image_size": size, "notes": notes},
        lines=[f"{what}: {len(finished)} images of {size}x{size} pixels in {classes} classes", *notes],
        closing=[f"written to {to}", *closing],
    )


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Context with a temporary folder that gets the name ``path`` at the end, or is deleted on an error.

    Raises UsageError where there is something at ``path`` already, except an empty folder.
    """
    if path.name == ".." or (os.path.lexists(possible(path)) and not path.is_dir()):
        raise UsageError(f"--to {path} exists and is not a folder. Give a new folder: --to FOLDER")
    if path.is_dir() and any(path.iterdir()):
        raise UsageError(f"{path} exists and is not empty: nothing is overwritten. Give another folder: --to FOLDER")
    require_writable(path.parent, "--to")
    making = path.parent / f".{path.name}.making-{os.getpid()}"
    making.mkdir()
    try:
        yield making
        making.replace(path)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _facts(dataset: str | None, settings: Sequence[str], outputs: Path) -> Facts | None:
    """Facts of the data set ``dataset``; None where none was given."""
    if dataset is None:
        if settings:
            raise UsageError(f"{settings[0]} is a setting of a data set, and none was given. Type --dataset NAME")
        return None
    _, config = settings_of_words([f"dataset={dataset}", *settings])
    return load(config.dataset, cache_dir=outputs / CACHE, threads=os.cpu_count() or 1)


def _dataset(
    source: Path, finished: ForeignSet, facts: Facts | None, typed: list[str] | None, options: argparse.Namespace
) -> dict[str, Any]:
    """The entry for the data set in the manifest, checked against the images."""
    classes = facts.classes if facts else typed or finished.classes
    if classes is None:
        raise UsageError(
            f"{source} does not name its classes. Type --dataset NAME, or --classes FILE with a name per line"
        )
    if facts is None and not (options.mean and options.std):
        raise UsageError(
            "students need the mean and std of the channels, in [0, 1]. Type --dataset NAME, or both --mean and --std"
        )
    whose = facts.name if facts else str(options.classes)
    named = finished if typed is None else ForeignSet(finished.pixels, finished.targets, typed, finished.soft_labels)
    require_classes(options.classes if typed and facts else source, named, classes, whose)
    if facts:
        require_size(source, finished, facts.image_size, whose)
    return {
        "name": facts.name if facts else None,
        "classes": list(classes),
        "mean": list(facts.mean if facts else options.mean),
        "std": list(facts.std if facts else options.std),
        "image_size": finished.image_size,
        "fingerprint": facts.fingerprint if facts else None,
    }


def _names_in(file: Path) -> list[str]:
    """Class names from ``file``: a JSON list, or one name per line. Raises UsageError where it holds none."""
    try:
        text = read_regular(file).decode()
        is_json = file.suffix == ".json"
        names = json.loads(text) if is_json else [line.strip() for line in text.splitlines() if line.strip()]
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"--classes {file} cannot be read ({reason}). Give a file with a class name per line"
        ) from error
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise UsageError(f"--classes {file} holds no class names. Give a file with a class name per line")
    require_class_names(names, f"--classes {file}")
    return names


def _folder_of(options: argparse.Namespace) -> Path:
    """The folder of the set ``options.set``, or of the set of the run with that name."""
    folder = infer_folder(expand(options.set))
    if folder is not None:
        return folder
    run = pick_run(options.set, options.outputs)
    folder = infer_folder(run.folder)
    if folder is None:
        raise UsageError(f"{run.folder} holds no distilled set: the run ended before generate. Start it again")
    return folder


def _not_kept(options: argparse.Namespace, finished: ForeignSet) -> list[str]:
    """Notes on what is lost in the format."""
    notes = []
    if options.jpeg is not None:
        notes.append(f"JPEG of quality {options.jpeg} changes the pixels; PNG, the default, keeps them")
    if finished.soft_labels is not None and options.format not in HOLD_SOFT_LABELS:
        notes.append(f"the soft labels are not written: {options.format} has no place for them")
    return notes
