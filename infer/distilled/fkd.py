"""FKD labels in our own format: every batch as it was drawn, beside the logits that teachers gave it.

Ten epochs share two files of safetensors, ``fkd-00000-logits`` and ``fkd-00000-draws``, then ``fkd-00010-...``. The
tensors are named as the fields of ``FkdBatch`` and begin with one entry per epoch; after it per image
(``weight``, ``cut_box``: per batch). Integers have the smallest type that holds them, and what a form of batches has no
use for is left out, so their size follows from the form alone.
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import safe_open
from torch import Tensor

from infer.config.evaluate import Mix
from infer.config.training import Crop
from infer.distilled.folder import load, verify
from infer.distilled.manifest import read_manifest
from infer.errors import UsageError
from infer.files import digest_of
from infer.store.files import load_tensors, save_tensors

EPOCHS_PER_FILE = 10
LOGITS, DRAWS = "logits", "draws"
_UNSIGNED = (torch.uint8, torch.int16, torch.int32)
_SIGNED = (torch.int8, torch.int16, torch.int32)


@dataclass(frozen=True, eq=False)
class FkdBatch:
    """One batch: how it is made from the images of a set, and the logits it was labelled with; tensors on the CPU."""

    index: Tensor
    """int64 [B]: rows of the set."""
    crops: Tensor
    """int64 [B, 4]: top, left, height, width of the crop in pixels of the image, enlarged to its size. With
    ``evaluate.crop=padded`` it has the image's size and reaches over the edge into black."""
    flip: Tensor
    """bool [B]: whether the crop is mirrored left to right."""
    patch_rows: Tensor | None
    """int64 [B, n]: before the crop, the row of patches of the image that each row shows; None: unshuffled."""
    patch_columns: Tensor | None
    """int64 [B, n]: the same for columns."""
    partner: Tensor | None
    """int64 [B]: position within the batch of the image mixed in; None without mixing."""
    weight: float
    """Share of the image itself as drawn; CutMix's is not corrected to the area of the box. 1.0 without mixing."""
    cut_box: tuple[int, int, int, int] | None
    """Top, left, bottom, right of the part that CutMix takes from the partner, after crop and flip; None otherwise."""
    logits: Tensor
    """float16 or float32 [B, C], or [B, k] where only the k highest are stored."""
    classes: Tensor | None
    """int64 [B, k]: the classes of ``logits``; None where all are stored, in order."""

    @property
    def mix(self) -> Mix:
        """Kind of mixing."""
        if self.partner is None:
            return Mix.none
        return Mix.mixup if self.cut_box is None else Mix.cutmix


@dataclass(frozen=True)
class FkdForm:
    """Form that stored batches have in common: the settings they were made with, and so the types of their tensors.

    ``mix``, ``crop``, ``crop_padding``, ``flip`` and ``shuffle_patches`` mean the same as in ``evaluate``.
    """

    num_images: int
    image_size: int
    num_classes: int
    batch_sizes: tuple[int, ...]
    """Sizes of the batches of one epoch."""
    mix: Mix
    crop: Crop
    crop_padding: int
    """Pixels by which crops reach over the edges of the image, at most."""
    flip: bool
    shuffle_patches: int = 1
    topk: int | None = None
    """Logits stored of each image; None: all classes'."""
    logits: str = "float16"
    """Type of the logits."""

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """The form that ``facts`` were taken of."""
        parsed = {"batch_sizes": tuple(facts["batch_sizes"]), "mix": Mix(facts["mix"]), "crop": Crop(facts["crop"])}
        return cls(**{**facts, **parsed})

    def facts(self) -> dict[str, Any]:
        """The form as JSON holds it."""
        return asdict(self) | {"mix": self.mix.value, "crop": self.crop.value, "batch_sizes": list(self.batch_sizes)}

    @property
    def images_per_epoch(self) -> int:
        """Images shown in an epoch."""
        return sum(self.batch_sizes)

    @property
    def bytes_per_epoch(self) -> int:
        """Exact bytes of the tensors of one epoch."""
        tensors = (tensor for part in (LOGITS, DRAWS) for tensor in self.tensors_of(part).values())
        return sum(math.prod(shape) * dtype.itemsize for shape, dtype in tensors)

    def tensors_of(self, part: str) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
        """Shape of one epoch and type of every tensor of ``part`` (logits or draws)."""
        shown, batches = self.images_per_epoch, len(self.batch_sizes)
        if part == LOGITS:
            per_image = (shown, self.topk or self.num_classes)
            stored: dict[str, tuple[tuple[int, ...], torch.dtype]] = {
                "logits": (per_image, getattr(torch, self.logits))
            }
            if self.topk is not None:
                stored["classes"] = per_image, _smallest(_UNSIGNED, self.num_classes - 1)
            return stored
        pixels = _smallest(_SIGNED, max(self.image_size, self.crop_padding))
        tensors: dict[str, tuple[tuple[int, ...], torch.dtype]] = {
            "index": ((shown,), _smallest(_UNSIGNED, self.num_images - 1)),
            "crops": ((shown, 4), pixels),
            "flip": ((shown,), torch.bool),
        }
        if self.mix is not Mix.none:
            tensors["partner"] = (shown,), _smallest(_UNSIGNED, max(self.batch_sizes) - 1)
            tensors["weight"] = (batches,), torch.float64
        if self.mix is Mix.cutmix:
            tensors["cut_box"] = (batches, 4), pixels
        if self.shuffle_patches > 1:
            order = (shown, self.shuffle_patches), _smallest(_UNSIGNED, self.shuffle_patches - 1)
            tensors |= {"patch_rows": order, "patch_columns": order}
        return tensors


def fkd_file(first_epoch: int, part: str) -> str:
    """The name of the file that holds ``part`` (logits or draws) of the epochs from ``first_epoch`` on."""
    return f"fkd-{first_epoch:05d}-{part}.safetensors"


def holds_fkd_labels(manifest: Mapping[str, Any]) -> bool:
    """True if the set has FKD labels, as its ``manifest`` says."""
    return fkd_file(0, LOGITS) in manifest["files"]


def write_epochs(folder: Path, first_epoch: int, form: FkdForm, epochs: Sequence[Sequence[FkdBatch]]) -> None:
    """Write the batches of at most ten epochs, of which ``first_epoch`` is the first."""
    for part in (LOGITS, DRAWS):
        stored = {
            name: torch.stack([_of_epoch(batches, name) for batches in epochs]).to(dtype)
            for name, (_, dtype) in form.tensors_of(part).items()
        }
        save_tensors(folder / fkd_file(first_epoch, part), stored)


def read_draws(folder: Path, epoch: int) -> dict[str, Tensor]:
    """The draws of one epoch, by name: the integers as int64."""
    within = epoch % EPOCHS_PER_FILE
    with safe_open(folder / fkd_file(epoch - within, DRAWS), framework="pt") as file:
        stored = {name: file.get_slice(name)[within] for name in file.keys()}  # noqa: SIM118 - it is no mapping
    return {name: value.long() if value.dtype in (*_UNSIGNED, *_SIGNED) else value for name, value in stored.items()}


class LogitsReader:
    """Reads stored logits epoch by epoch; the ten epochs of one file at a time are on ``device``.

    ``folders`` are those of the first file, the second, ...
    """

    def __init__(self, folders: Sequence[Path], device: torch.device) -> None:
        self._folders = folders
        self._device = device
        self._loaded: tuple[int, dict[str, Tensor]] = (-1, {})

    def rows(self, epoch: int, rows: slice) -> tuple[Tensor, Tensor | None]:
        """Logits and, where they are pruned, their classes, of the images in ``rows`` of the order of ``epoch``."""
        number, within = divmod(epoch, EPOCHS_PER_FILE)
        if self._loaded[0] != number:
            tensors = load_tensors(self._folders[number] / fkd_file(epoch - within, LOGITS))
            self._loaded = number, {name: tensor.to(self._device) for name, tensor in tensors.items()}
        tensors = self._loaded[1]
        classes = tensors["classes"][within, rows] if "classes" in tensors else None
        return tensors["logits"][within, rows], classes


def read_epochs(folders: Sequence[Path], form: FkdForm, epochs: Iterable[int]) -> Iterator[list[FkdBatch]]:
    """The batches of each of ``epochs``, in the order in which students see them. ``folders`` as in LogitsReader."""
    reader = LogitsReader(folders, torch.device("cpu"))
    for epoch in epochs:
        draws = read_draws(folders[epoch // EPOCHS_PER_FILE], epoch)
        bounds = pairwise(accumulate(form.batch_sizes, initial=0))
        yield [
            _batch(draws, number, slice(*rows), *reader.rows(epoch, slice(*rows))) for number, rows in enumerate(bounds)
        ]


class OwnLabelFolder:
    """The labels that lie with a set in a folder of our format.

    Raises UsageError where there are none, or none that this version reads.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._manifest = read_manifest(path)
        labels = self._manifest.get("labels", {})
        if not holds_fkd_labels(self._manifest):
            raise UsageError(
                f"{path} has {labels.get('mode', 'no')} labels, and no FKD labels are stored in it "
                f"({fkd_file(0, LOGITS)}). Make them with the run's command and labeling=fkd"
            )
        if "form" not in labels:
            raise UsageError(
                f"{path} has FKD labels of an older version of this program, which did not store how their batches are "
                "made. Make them again with the run's command and labeling=fkd"
            )
        try:
            self.num_epochs = int(labels["epochs"])
            self.form = FkdForm.from_facts(labels["form"])
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"{path} has labels whose form cannot be read ({error}). Make them again") from error
        for first, part in itertools.product(range(0, self.num_epochs, EPOCHS_PER_FILE), (LOGITS, DRAWS)):
            if fkd_file(first, part) not in self._manifest["files"]:
                raise UsageError(
                    f"{path} has labels of {self.num_epochs} epochs, and no {fkd_file(first, part)} belongs to it. "
                    "Make them again"
                )

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
            raise UsageError(f"{self.path} labels images of other classes than this set has: it is of another set")
        return self.class_by_class(epochs)

    def class_by_class(self, epochs: range) -> Iterator[list[FkdBatch]]:
        """The batches of each of ``epochs``, with the set's images counted class by class, as trees of images are."""
        place = torch.empty_like(self.targets)
        place[self.targets.argsort(stable=True)] = torch.arange(len(self.targets))
        folders = [self.path] * math.ceil(self.num_epochs / EPOCHS_PER_FILE)
        for batches in read_epochs(folders, self.form, epochs):
            yield [replace(batch, index=place[batch.index]) for batch in batches]


def _smallest(types: Iterable[torch.dtype], largest: int) -> torch.dtype:
    return next(dtype for dtype in types if largest <= torch.iinfo(dtype).max)


def _of_epoch(batches: Sequence[FkdBatch], name: str) -> Tensor:
    """The field ``name`` of all batches of an epoch."""
    values = [getattr(batch, name) for batch in batches]
    return torch.cat(values) if torch.is_tensor(values[0]) else torch.tensor(values, dtype=torch.float64)


def _batch(draws: Mapping[str, Tensor], number: int, rows: slice, logits: Tensor, classes: Tensor | None) -> FkdBatch:
    def where_stored(name: str) -> Tensor | None:
        return draws[name][rows] if name in draws else None

    return FkdBatch(
        index=draws["index"][rows],
        crops=draws["crops"][rows],
        flip=draws["flip"][rows],
        patch_rows=where_stored("patch_rows"),
        patch_columns=where_stored("patch_columns"),
        partner=where_stored("partner"),
        weight=draws["weight"][number].item() if "weight" in draws else 1.0,
        cut_box=tuple(draws["cut_box"][number].tolist()) if "cut_box" in draws else None,
        logits=logits,
        classes=None if classes is None else classes.long(),
    )
