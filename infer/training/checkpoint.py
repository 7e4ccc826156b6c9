"""Checkpoints of long work: its state on disk, which is used only if it is complete, of this version and work."""

import contextlib
import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from infer.errors import RunError
from infer.files import read_json, replaced_whole, write_json
from infer.interruption import interruption
from infer.ranks import LostRank, ranks

log = logging.getLogger(__name__)

_DESCRIPTION = "checkpoint.json"
_FORMAT = 2
"""Version of the format of checkpoints, to be increased when the state of the same work is stored differently."""

State = tuple[dict[str, Tensor], dict[str, Any]]
"""Tensors by name, and further JSON-ready values of the progress."""


class Checkpoint:
    """Checkpoint in a folder: ``checkpoint.json``, and a safetensors file whose name and checksum it holds.

    The tensors are written first, under a new name, so ``checkpoint.json`` always describes a complete file. ``key``
    identifies the work (settings, randomness, model); a checkpoint with another key is not read.
    """

    def __init__(self, folder: Path, key: str, seconds_between: float) -> None:
        """``seconds_between`` is the time between two writes; at most this much work is lost without a signal."""
        self._folder = folder
        self._key = key
        self._seconds_between = seconds_between
        self._last_write = time.monotonic()

    def after_step(self, state: Callable[[], State]) -> None:
        """Write ``state()`` if a checkpoint is due, and before a pending signal is obeyed.

        To be called between two steps, within ``kept_on_signals``. With several ranks, all call it after the same step;
        rank 0 writes, and a signal to one rank counts for all. Raises RunError where the folder cannot be written, and
        KeyboardInterrupt as ``Interruption.obey`` does.
        """
        if ranks.any(interruption.has_come):
            ranks.end_together = ranks.count > 1
            if not ranks.follows:
                self._write_before_the_end(state)
                interruption.obey()
            _follow_the_first()
            ranks.end_together = False
            interruption.obey()
        elif ranks.follows:
            return
        elif time.monotonic() - self._last_write >= self._seconds_between:
            self._write_or_say_why(*state())
            self._last_write = time.monotonic()

    def _write_before_the_end(self, state: Callable[[], State]) -> None:
        try:
            self._write_or_say_why(*state())
        except RunError as error:
            log.warning("%s", error)

    def read(self) -> State | None:
        """Tensors (on the CPU) and progress of the last write; None where there is none that can be used.

        A checkpoint that is damaged, incomplete, of other work or of another version is reported in the log and not
        used. With several ranks, rank 0 reads for all.
        """
        if ranks.count > 1:
            stored: State | None = ranks.tell(self._read_if_there()) if ranks.first else ranks.listen()
            return stored
        return self._read_if_there()

    def _read_if_there(self) -> State | None:
        if not (self._folder / _DESCRIPTION).exists():
            return None
        try:
            return self._read()
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            log.warning("The work starts over, since the checkpoint in %s cannot be used: %s", self._folder, error)
            return None

    def discard(self) -> None:
        """Remove the checkpoint's files; the folder and its other files stay."""
        for path in [self._folder / _DESCRIPTION, *self._folder.glob("checkpoint-*.safetensors")]:
            path.unlink(missing_ok=True)

    def _write_or_say_why(self, tensors: dict[str, Tensor], progress: dict[str, Any]) -> None:
        try:
            self._write(tensors, progress)
        except OSError as error:
            raise RunError(f"Cannot write a checkpoint into {self._folder}: {error.strerror or error}") from error

    def _write(self, tensors: dict[str, Tensor], progress: dict[str, Any]) -> None:
        content = safetensors.torch.save({name: _plain(value) for name, value in tensors.items()})
        digest = hashlib.sha256(content).hexdigest()
        file = self._folder / f"checkpoint-{digest[:16]}.safetensors"
        with replaced_whole(file) as whole:
            whole.write(content)
        description = {
            "format": _FORMAT,
            "key": self._key,
            "file": file.name,
            "sha256": digest,
            "progress": progress,
        }
        write_json(self._folder / _DESCRIPTION, description)
        for other in self._folder.glob("checkpoint-*.safetensors"):
            if other != file:
                other.unlink()

    def _read(self) -> State:
        description = read_json(self._folder / _DESCRIPTION)
        if "format" not in description or description["format"] != _FORMAT:
            raise ValueError("it was written by another version of this program")
        if description["key"] != self._key:
            raise ValueError("it belongs to other work")
        content = (self._folder / description["file"]).read_bytes()
        if hashlib.sha256(content).hexdigest() != description["sha256"]:
            raise ValueError(f"{description['file']} is damaged")
        return safetensors.torch.load(content), description["progress"]


def _follow_the_first() -> None:
    """Wait for the decision of rank 0 after a signal: raise KeyboardInterrupt where it ends, return where it goes on.

    It goes on where the handler of its signal does not end the process.
    """
    if ranks.count == 1:
        return
    try:
        ranks.tell(None) if ranks.first else ranks.listen()
    except LostRank:
        raise KeyboardInterrupt from None


@contextlib.contextmanager
def kept_on_signals(checkpoint: Checkpoint | None) -> Iterator[None]:
    """Within this context, signals wait for ``checkpoint.after_step``; without a checkpoint they act at once."""
    with interruption.deferred() if checkpoint else contextlib.nullcontext():
        yield


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The ``tensors`` whose names begin with ``prefix``, under their names without the prefix."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _plain(value: Tensor) -> Tensor:
    """A copy as safetensors requires it: on the CPU, contiguous, not shared with another tensor."""
    return value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
