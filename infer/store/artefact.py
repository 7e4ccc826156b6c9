"""Base class of all artefacts in the store: settings, parents and signature."""

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

    ``folder`` is deleted unless the work succeeds; ``scratch`` is kept after an interruption.
    """

    folder: Path
    scratch: Path


class Sharing(Enum):
    """Way in which several ranks make an artefact."""

    first = "first"
    """Rank 0 alone makes it."""
    together = "together"
    """All ranks run ``make``, which divides the work; the files of rank 0 are stored."""
    apart = "apart"
    """Each artefact is made and stored by one rank, while other ranks make other artefacts of the same kind."""


class Artefact(ABC):
    """A piece of work whose result is stored in a folder that is named after everything that determines it.

    ``settings`` lists all settings that the result depends on; those left out (workers, device, paths, progress) do not
    change it.
    """

    kind: ClassVar[str]
    """Name of the folder in ``outputs/`` for artefacts of this kind."""
    stage: ClassVar[Stage]
    sharing: ClassVar[Sharing] = Sharing.first
    version: ClassVar[int] = 1
    """Version of the content, to be increased when the same settings no longer give the same content."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Readable name, the first part of the name of the folder."""

    @property
    @abstractmethod
    def settings(self) -> Mapping[str, Any]:
        """All resolved settings that the content depends on, JSON-ready."""

    @property
    def parents(self) -> Mapping[str, "Artefact"]:
        """Artefacts that the content is made from, by role."""
        return {}

    @property
    def work(self) -> Work:
        """Work of making the artefact, for estimates. By default all artefacts of the same kind are similar work."""
        return Work(name=self.kind)

    @property
    def expected_bytes(self) -> int:
        """Approximate bytes on the disk, without the record."""
        return 0

    @abstractmethod
    def make(self, workspace: Workspace) -> dict[str, Any]:
        """Write the files into ``workspace.folder``; returns JSON-ready facts for the record."""

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything that the signature is computed from."""
        return {
            "kind": self.kind,
            "version": self.version,
            "settings": dict(self.settings),
            "parents": {role: parent.signature for role, parent in self.parents.items()},
        }

    @cached_property
    def signature(self) -> str:
        """SHA-256 of the canonical JSON of ``identity``."""
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
