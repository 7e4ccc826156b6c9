"""Checkpoints of an interrupted training: a complete epoch on disk, used only if it is whole and of this training."""

import hashlib
import logging
import time
from pathlib import Path
from typing import TypedDict

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from infer.errors import RunError
from infer.files import read_json, replaced_whole, write_json

log = logging.getLogger(__name__)

SECONDS_BETWEEN_WRITES = 20.0
"""Most work that an interruption loses, besides the epoch that it falls into."""

_DESCRIPTION = "checkpoint.json"


class Progress(TypedDict):
    """State of a training beside its tensors; JSON-ready."""

    epoch: int
    """The next epoch."""
    history: list[dict[str, float]]
    seconds: float


class Checkpoint:
    """A folder with ``checkpoint.json`` and the safetensors file that it names and whose checksum it holds.

    The tensors are written first and under a name of their own, so the description always belongs to a whole
    file. ``key`` names the training (settings, randomness, model); a checkpoint with another key is not read.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self._folder = folder
        self._key = key
        self._last_write = time.monotonic()

    def write_when_due(self, tensors: dict[str, Tensor], progress: Progress) -> None:
        """Write unless the last write (or the start) was less than `SECONDS_BETWEEN_WRITES` ago.

        Raises RunError when the folder cannot be written.
        """
        if time.monotonic() - self._last_write < SECONDS_BETWEEN_WRITES:
            return
        try:
            self._write(tensors, progress)
        except OSError as error:
            raise RunError(f"Cannot write a checkpoint into {self._folder}: {error.strerror or error}") from error
        self._last_write = time.monotonic()

    def read(self) -> tuple[dict[str, Tensor], Progress] | None:
        """Tensors (on the CPU) and progress of the last write, or None.

        A checkpoint that is damaged, incomplete or of another training is reported in the log and left unused.
        """
        if not (self._folder / _DESCRIPTION).exists():
            return None
        try:
            return self._read()
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            log.warning("Training starts over, the checkpoint in %s cannot be used: %s", self._folder, error)
            return None

    def discard(self) -> None:
        """Remove the checkpoint's files; the folder and what else is in it stay."""
        for path in [self._folder / _DESCRIPTION, *self._folder.glob("checkpoint-*.safetensors")]:
            path.unlink(missing_ok=True)

    def _write(self, tensors: dict[str, Tensor], progress: Progress) -> None:
        content = safetensors.torch.save({name: _plain(value) for name, value in tensors.items()})
        file = self._folder / f"checkpoint-{progress['epoch']}.safetensors"
        with replaced_whole(file) as whole:
            whole.write(content)
        description = {
            "key": self._key,
            "file": file.name,
            "sha256": hashlib.sha256(content).hexdigest(),
            "progress": progress,
        }
        write_json(self._folder / _DESCRIPTION, description)
        for other in self._folder.glob("checkpoint-*.safetensors"):
            if other != file:
                other.unlink()

    def _read(self) -> tuple[dict[str, Tensor], Progress]:
        description = read_json(self._folder / _DESCRIPTION)
        if description["key"] != self._key:
            raise ValueError("it belongs to another training")
        content = (self._folder / description["file"]).read_bytes()
        if hashlib.sha256(content).hexdigest() != description["sha256"]:
            raise ValueError(f"{description['file']} is damaged")
        return safetensors.torch.load(content), description["progress"]


def _plain(value: Tensor) -> Tensor:
    """A copy as safetensors wants it: on the CPU, contiguous, memory of its own."""
    return value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
