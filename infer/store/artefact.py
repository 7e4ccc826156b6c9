"""Artefact: the base class of everything in the store, with its settings, parents and signature."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from infer.config import Stage
from infer.files import digest_of
from infer.work import Work


@dataclass(frozen=True)
class Workspace:
    """Folders in which an artefact is made.

    ``folder`` is deleted unless the work succeeds; ``scratch`` outlives an interruption.
    """

    folder: Path
    scratch: Path


class Sharing(Enum):
    """Way in which several ranks make an artefact."""

    first = "first"
    """Rank 0 alone makes it."""
    together = "together"
    """All ranks run ``make``, which divides the work; rank 0 keeps what it has written."""
    apart = "apart"
    """Artefacts of one kind are made side by side, each whole by one rank, which keeps it itself."""


class Artefact(ABC):
    """A piece of work whose result is kept in a folder named after everything that determines it.

    ``settings`` is a positive list: what is not in it (workers, device, paths, progress) does not change the result.
    """

    kind: ClassVar[str]
    """The folder of ``outputs/`` that holds it."""
    stage: ClassVar[Stage]
    sharing: ClassVar[Sharing] = Sharing.first
    version: ClassVar[int] = 1
    """Version of the content; raise it when the same settings no longer give the same content."""

    @property
    @abstractmethod
    def name(self) -> str:
        """A readable name, the first part of the folder's."""

    @property
    @abstractmethod
    def settings(self) -> Mapping[str, Any]:
        """Every resolved setting that the content depends on, JSON-ready."""

    @property
    def parents(self) -> Mapping[str, "Artefact"]:
        """The artefacts that the content is made from, by role."""
        return {}

    @property
    def work(self) -> Work:
        """Work of making it, for estimates; like work is told by the kind of artefact alone unless a subclass says."""
        return Work(name=self.kind)

    @property
    def expected_bytes(self) -> int:
        """Bytes that it will take on the disk beside its record, about."""
        return 0

    @abstractmethod
    def make(self, workspace: Workspace) -> dict[str, Any]:
        """Write the files into ``workspace.folder``; returns JSON-ready facts for the record."""

    @cached_property
    def identity(self) -> dict[str, Any]:
        """The content of the signature."""
        return {
            "kind": self.kind,
            "version": self.version,
            "settings": dict(self.settings),
            "parents": {role: parent.signature for role, parent in self.parents.items()},
        }

    @cached_property
    def signature(self) -> str:
        """SHA-256 over the canonical JSON of ``identity``."""
        return digest_of(self.identity)

    @property
    def folder_name(self) -> str:
        """Readable name and the first eight hex digits of the signature."""
        return f"{self.name.replace('/', '.')}-{self.signature[:8]}"


def with_ancestors(artefacts: Iterable[Artefact]) -> list[Artefact]:
    """``artefacts`` and all their ancestors, each once, parents before children."""
    found: dict[str, Artefact] = {}
    for artefact in artefacts:
        _collect(artefact, found)
    return list(found.values())


def _collect(artefact: Artefact, found: dict[str, Artefact]) -> None:
    if artefact.signature not in found:
        for parent in artefact.parents.values():
            _collect(parent, found)
        found[artefact.signature] = artefact
