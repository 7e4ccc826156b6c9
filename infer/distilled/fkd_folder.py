"""FKD labels that lie with a distilled set in a folder of our format."""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from infer.distilled.fkd import DRAWS, LOGITS, FkdBatch, FkdForm
from infer.distilled.fkd_files import EPOCHS_PER_FILE, fkd_file, read_epochs
from infer.distilled.folder import load, verify
from infer.distilled.manifest import read_manifest
from infer.errors import UsageError
from infer.files import digest_of


def holds_fkd_labels(manifest: Mapping[str, Any]) -> bool:
    """True if the set has FKD labels, as its ``manifest`` says."""
    return fkd_file(0, LOGITS) in manifest["files"]


class OwnLabelFolder:
    """The labels that lie with a set in a folder of our format.

    Raises UsageError where there are none, or none that this version reads.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._manifest = read_manifest(path)
        _require_labels(path, self._manifest)
        labels = self._manifest["labels"]
        try:
            self.num_epochs = int(labels["epochs"])
            self.form = FkdForm.from_facts(labels["form"])
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"{path} has labels whose form cannot be read ({error}). Make them again") from error
        _require_files(path, self._manifest, self.num_epochs)

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of all that the labels depend on; raises UsageError where a file is not what was written."""
        verify(self.path, self._manifest)
        return digest_of([self._manifest["labels"], self._manifest["files"]])

    @cached_property
    def targets(self) -> Tensor:
        """The classes of the set's images: int64 [N]. Raises UsageError where a file is not what was written."""
        return load(self.path).targets

    def epochs(self, targets: Tensor, epochs: range) -> Iterator[list[FkdBatch]]:
        """The batches of each of ``epochs``, for images of the classes ``targets``, counted class by class.

        Raises UsageError where the labels are not those of such images.
        """
        if not torch.equal(self.targets.sort().values, targets):
            raise UsageError(f"{self.path} labels images of other classes than this set has: it belongs to another set")
        return self.class_by_class(epochs)

    def class_by_class(self, epochs: range) -> Iterator[list[FkdBatch]]:
        """The batches of each of ``epochs``, with the set's images counted class by class, as trees of images are."""
        place = torch.empty_like(self.targets)
        place[self.targets.argsort(stable=True)] = torch.arange(len(self.targets))
        folders = [self.path] * math.ceil(self.num_epochs / EPOCHS_PER_FILE)
        for batches in read_epochs(folders, self.form, epochs):
            yield [replace(batch, index=place[batch.index]) for batch in batches]


def _require_labels(path: Path, manifest: Mapping[str, Any]) -> None:
    """Raise UsageError unless the set has FKD labels whose form is stored."""
    labels = manifest.get("labels", {})
    if not holds_fkd_labels(manifest):
        raise UsageError(
            f"{path} has {labels.get('mode', 'no')} labels, and no FKD labels are stored in it "
            f"({fkd_file(0, LOGITS)}). Make them with the run's command and labeling=fkd"
        )
    if "form" not in labels:
        raise UsageError(
            f"{path} has FKD labels of an older version of this program, which did not store how their batches are "
            "made. Make them again with the run's command and labeling=fkd"
        )


def _require_files(path: Path, manifest: Mapping[str, Any], num_epochs: int) -> None:
    """Raise UsageError unless the files of all epochs belong to the set."""
    for first, part in itertools.product(range(0, num_epochs, EPOCHS_PER_FILE), (LOGITS, DRAWS)):
        if fkd_file(first, part) not in manifest["files"]:
            raise UsageError(
                f"{path} has labels of {num_epochs} epochs, but {fkd_file(first, part)} is not one of its files. "
                "Make them again"
            )
