"""The FKD labels in a folder of the ``infer`` format: written with a run's set, read wherever the folder lies.

``fkd-00000-logits.safetensors``, ... hold the logits of ten epochs each. Batches that were drawn from a seed are drawn
again, and the manifest has the seed, what else they depend on and a checksum of the first epoch; others stand beside
the logits, in ``fkd-00000-draws.safetensors``, ...
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from infer.config.training import Crop, Training
from infer.context import Context
from infer.distilled.folder import fkd_file, holds_fkd_labels, load, read_manifest
from infer.errors import UsageError
from infer.files import digest_of
from infer.formats.contents import content_digest
from infer.labels.fkd import FkdLabels, Price
from infer.labels.fkd_batches import FkdBatch, spelled_out
from infer.labels.fkd_reader import EPOCHS_PER_CHUNK, FkdReader
from infer.store.files import load_tensors
from infer.training.draws import Draws, StoredDraws
from infer.training.plan import Plan

_LOGITS, _DRAWS = "logits", "draws"


def write_own_labels(context: Context, labels: FkdLabels, folder: Path) -> dict[str, Any]:
    """Put the files of ``labels`` into ``folder``; gives what the manifest says of them."""
    for chunk in labels.chunks:
        for file in context.folder(chunk).glob("*.safetensors"):
            _link_or_copy(file, folder / fkd_file(chunk.start, file.stem))
    first = labels.draws.of(labels.plan, 0, labels.image_size)
    return {
        "mode": labels.mode,
        "epochs": labels.epochs,
        "batches": labels.plan.draws_recipe(),
        "drawn_by": None if isinstance(labels.draws, StoredDraws) else list(labels.draws.stream),
        "first_epoch": first.fingerprint(),
        "bytes": {"per_epoch": labels.price.per_epoch, "once": labels.price.once},
    }


@dataclass(frozen=True)
class _Chunk:
    file: Path

    def tensors(self) -> dict[str, Tensor]:
        return load_tensors(self.file)


class OwnLabels:
    """The labels in the ``infer`` folder ``folder``. Raises UsageError where it has none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._manifest = read_manifest(folder)
        if not holds_fkd_labels(folder):
            mode = self._manifest.get("labels", {}).get("mode", "no")
            raise UsageError(
                f"{folder} has {mode} labels, and no FKD labels are stored in it ({fkd_file(0, _LOGITS)}). Make them "
                "with the run's command and labeling=fkd"
            )
        self._said = self._manifest["labels"]
        self.epochs: int = self._said["epochs"]
        self.price = Price(**self._said["bytes"])
        size = self._manifest["dataset"]["image_size"]
        self.image_size: tuple[int, int] = (size, size)
        self.num_classes = len(self._manifest["dataset"]["classes"])
        self.plan = _plan_of(self._said["batches"])

    @property
    def are_pruned(self) -> bool:
        """Whether only the highest logits of each image are there."""
        return "classes" in load_tensors(self._files(_LOGITS)[0])

    @property
    def digest(self) -> str:
        """Hex SHA-256 of everything that the labels depend on."""
        files = sorted(self.folder.glob("*.safetensors"))
        return digest_of([self._said, content_digest(files, self.folder)])

    @cached_property
    def targets(self) -> Tensor:
        """The classes of the set's images: int64 [N]. Raises UsageError where a file is not what was written."""
        return load(self.folder).targets

    @cached_property
    def place(self) -> Tensor:
        """Where each image of the set stands among all of them class by class: int64 [N]."""
        place = torch.empty_like(self.targets)
        place[self.targets.argsort(stable=True)] = torch.arange(len(self.targets))
        return place

    def batches(self, epochs: range) -> Iterator[FkdBatch]:
        """The batches of ``epochs``. Raises UsageError where they cannot be drawn as they were."""
        reader = FkdReader([_Chunk(file) for file in self._files(_LOGITS)], torch.device("cpu"))
        return spelled_out(self._draws, self.plan, self.image_size, reader, epochs)

    @cached_property
    def _draws(self) -> Draws:
        drawn_by = self._said["drawn_by"]
        if drawn_by is None:
            files = tuple(map(str, self._files(_DRAWS)))
            return StoredDraws(("stored",), files=files, epochs_per_file=EPOCHS_PER_CHUNK)
        draws = Draws(tuple(drawn_by))
        if draws.of(self.plan, 0, self.image_size).fingerprint() != self._said["first_epoch"]:
            raise UsageError(
                f"{self.folder} holds the seed of its batches, and this version of numpy or of this program draws "
                "others from it. Export the labels where they were made: infer export RUN --format fkd"
            )
        return draws

    def _files(self, part: str) -> list[Path]:
        return [self.folder / fkd_file(start, part) for start in range(0, self.epochs, EPOCHS_PER_CHUNK)]


def _plan_of(recipe: dict[str, Any]) -> Plan:
    """A plan whose ``draws_recipe`` this is."""
    resized, padding = recipe["crop"].get("resized"), recipe["crop"].get("padded")
    scale, ratio = resized or (Training.crop_scale_min, Training.crop_ratio_max)
    settings = Training(
        epochs=1,
        batch_size=recipe["batch_size"],
        even_batches=recipe.get("even_batches", False),
        crop=Crop.padded if resized is None else Crop.resized,
        crop_padding=padding or 0,
        crop_scale_min=scale,
        crop_ratio_max=ratio,
        flip=recipe["flip"],
        shuffle_patches=recipe["shuffle_patches"],
    )
    return Plan(settings, recipe["images"], mix_alpha=recipe["mix_alpha"], cutmix=recipe["cutmix"])


def _link_or_copy(source: Path, to: Path) -> None:
    """``source`` under another name: large files are not doubled where the file system can link them."""
    with contextlib.suppress(OSError):
        os.link(source, to)
        return
    shutil.copyfile(source, to)
