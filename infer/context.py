"""Context of a run, shared by its stages: settings, data, store, device, and counts of artefacts made and reused."""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from infer import environment
from infer.config import Config, Stage
from infer.config import Precision as AskedPrecision
from infer.console import Console
from infer.data.base import ImageDataset
from infer.environment import ChosenPrecision, Precision, cpu_computes_bf16
from infer.errors import UsageError
from infer.models.bf16 import trains_faster_in_bf16
from infer.progress import Meter, Progress
from infer.records.sweeps import SweepRecord, read_sweep
from infer.store import Artefact, BusyArtefact, MissingArtefact, Store, Workspace
from infer.training.checkpoint import Checkpoint
from infer.words import launch_command
from infer.work import Pass, Passes

_ORDER = list(Stage)


@dataclass
class StageAccount:
    """Counts of artefacts that a stage made or reused."""

    signatures: list[str] = field(default_factory=list)
    made: int = 0
    reused: int = 0
    seconds: float = 0.0


@dataclass
class Context:
    """Settings, data, store, device and counts that all stages of a run share."""

    config: Config
    data: ImageDataset
    store: Store
    device: torch.device
    precision: ChosenPrecision
    """Floating-point format of trainings that follows from setting and device; ``teacher_precision`` and
    ``student_precision`` are those that are used."""
    console: Console
    run_folder: Path
    overrides: Sequence[str] = ()
    """Words of the command line, for messages that print a command."""
    threads: int = field(default_factory=torch.get_num_threads)
    """Number of threads that compute in this process."""
    order: str = ""
    """Identifier of the start of the run, or of its sweep. Forced stages make artefacts again unless these were made
    under the same identifier."""
    may_be_made_by_others: frozenset[str] = frozenset()
    """Signatures of artefacts that were missing at the start and that other processes of this run may make. They count
    as made by the run."""
    networks: dict[str, nn.Module] = field(default_factory=dict)
    """Trained networks in memory, by signature."""
    on_obtained: Callable[[Artefact], None] | None = None
    """Function that is called once with every artefact, as soon as it exists."""
    on_epoch: Callable[[Artefact, dict[str, float]], None] | None = None
    """Function that is called with a network in training and each new row of its history; it may end the training by
    raising an error."""
    account: dict[Stage, StageAccount] = field(default_factory=lambda: {stage: StageAccount() for stage in Stage})

    @cached_property
    def sweep(self) -> SweepRecord | None:
        """The sweep that the run is a job of; None for a single run."""
        return read_sweep(self.run_folder.parent)

    @property
    def in_comparing_sweep(self) -> bool:
        """True if the run is a job of a sweep that compares its jobs with each other."""
        return self.sweep is not None and self.sweep.compares

    @cached_property
    def progress(self) -> Progress:
        """Counts and times of the run's loops, which are shown on the terminal and written into its folder."""
        return Progress(self.console)

    def passes(
        self,
        how: Pass,
        arch: str,
        images: int,
        at_once: int,
        precision: str = "fp32",
        compiled: bool = False,
        of_step: int = 0,
    ) -> Passes:
        """Passes of images of the data set's size through a network with the data set's classes."""
        size, classes = self.data.image_size, self.data.num_classes
        return Passes(how, arch, images, min(images, at_once), size, classes, precision, compiled, of_step)

    def meter(
        self, artefact: Artefact, description: str, total: int, unit: str = "images"
    ) -> contextlib.AbstractContextManager[Meter]:
        """Context of the loop that makes ``artefact``, in which its progress is counted."""
        return self.progress.meter(description, total, unit, artefact.stage.value, artefact.signature)

    def checkpoint(self, artefact: Artefact, workspace: Workspace) -> Checkpoint:
        """The checkpoint of the work on ``artefact``, whose state must depend on nothing but the signature."""
        return Checkpoint(workspace.scratch, artefact.signature, self.config.seconds_between_checkpoints)

    def teacher_precision(self, arch: str) -> Precision:
        """Floating-point format in which a teacher is trained.

        It follows from settings, network, image size, device and the instructions of the processor, never from a
        timing, so that the same command gives the same bits on the same machine whatever its load.
        """
        if self.precision == "by_network" and self.config.teachers.published:
            return "fp32"
        return self._precision_of(arch)

    def student_precision(self, arch: str) -> Precision:
        """Floating-point format in which a student is trained: that of the protocol, unless the setting ``precision``
        names one or the protocol has none; then it is found as for a teacher."""
        own = self.config.evaluate.precision
        if own is None or self.config.precision is not AskedPrecision.auto:
            return self._precision_of(arch)
        return own.value

    def _precision_of(self, arch: str) -> Precision:
        if self.precision != "by_network":
            return self.precision
        return "bf16" if trains_faster_in_bf16(arch, self.data.image_size) else "fp32"

    @property
    def precisions(self) -> tuple[set[Precision], set[Precision]]:
        """Floating-point formats of the teachers' and of the students' trainings."""
        teachers = map(self.teacher_precision, self.config.ensemble)
        students = map(self.student_precision, self.config.student.archs)
        return {*teachers}, {*students}

    @property
    def emulates_bf16(self) -> bool:
        """True if networks are trained in bf16 on a processor without instructions for it."""
        return self.device.type == "cpu" and "bf16" in set.union(*self.precisions) and not cpu_computes_bf16()

    def obtain(self, artefact: Artefact, wait: bool = True) -> dict[str, Any]:
        """The record of ``artefact``, which is made first if it is missing and its stage was requested.

        Where its stage was not requested, raises UsageError with the command that makes it. Raises BusyArtefact where
        another process is making it and ``wait`` is false.
        """
        account = self.account[artefact.stage]
        first_time = artefact.signature not in account.signatures
        if first_time and artefact.stage in self.forced:
            self.store.set_aside(artefact, but_not_of=self.order)
        started = time.monotonic()
        try:
            with environment.threads(self.threads):
                record, made = self.store.obtain(artefact, may_make=artefact.stage in self.config.stages, wait=wait)
        except MissingArtefact as missing:
            raise UsageError(f"{missing}. Make it with: {self._command_for(missing.artefact)}") from None
        if first_time:
            by_another = record.get("order") == self.order and artefact.signature in self.may_be_made_by_others
            account.signatures.append(artefact.signature)
            account.made += made or by_another
            account.reused += not (made or by_another)
            seconds = time.monotonic() - started
            account.seconds += seconds * made
            self.progress.forecast.note(artefact.signature, seconds if made else None)
            if self.on_obtained:
                self.on_obtained(artefact)
        return record

    def obtained_without_waiting(self, artefact: Artefact) -> bool:
        """Obtain ``artefact``; False where another process is making it or one of its parents."""
        known = self.store.exists
        if not known(artefact) and not all(known(parent) for parent in artefact.parents.values()):
            return False
        try:
            self.obtain(artefact, wait=False)
        except BusyArtefact:
            return False
        return True

    def require_parents(self, artefact: Artefact) -> None:
        """Raise UsageError, with the command to type, where a parent is missing and its stage was not requested."""
        for parent in artefact.parents.values():
            if parent.stage not in self.config.stages:
                self.require(parent)

    def require(self, artefact: Artefact) -> None:
        """Raise UsageError, with the command to type, where ``artefact`` is missing."""
        if not self.store.exists(artefact):
            missing = MissingArtefact(artefact, self.store.folder(artefact))
            raise UsageError(f"{missing}. Make it with: {self._command_for(artefact)}")

    def folder(self, artefact: Artefact) -> Path:
        """The folder of ``artefact``, which is obtained first."""
        self.obtain(artefact)
        return self.store.folder(artefact)

    @cached_property
    def forced(self) -> list[Stage]:
        """Stages to run again: the first stage in ``force`` and all later ones, as far as they were requested."""
        if not self.config.force:
            return []
        first = min(_ORDER.index(stage) for stage in self.config.force)
        return [stage for stage in _ORDER[first:] if stage in self.config.stages]

    def _command_for(self, artefact: Artefact) -> str:
        words = [word for word in self.overrides if not word.startswith(("stages=", "force="))]
        upto = ",".join(stage.value for stage in _ORDER[: _ORDER.index(artefact.stage) + 1])
        return launch_command([*words, f"stages=[{upto}]"])
