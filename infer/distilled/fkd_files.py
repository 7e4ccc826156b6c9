"""Files of FKD labels in our own format.

Ten epochs share two files of safetensors, ``fkd-00000-logits`` and ``fkd-00000-draws``, then ``fkd-00010-...``. The
tensors are named as the fields of ``FkdBatch`` and begin with one entry per epoch; after it per image
(``weight``, ``cut_box``: per batch).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from infer.distilled.fkd import DRAWS, LOGITS, STORED_INTEGERS, FkdBatch, FkdForm
from infer.store.files import load_tensors, save_tensors

EPOCHS_PER_FILE = 10


def fkd_file(first_epoch: int, part: str) -> str:
    """The name of the file that holds ``part`` (logits or draws) of the epochs from ``first_epoch`` on."""
    return f"fkd-{first_epoch:05d}-{part}.safetensors"


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
    return {name: value.long() if value.dtype in STORED_INTEGERS else value for name, value in stored.items()}


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
