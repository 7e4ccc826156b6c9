"""Worker processes that share the work of this process's runs, artefact by artefact, through the locks of the store.

Workers are started once, for the first run that has work to share, and serve the jobs of a sweep one after another.
They do not print. Work that fails in a worker is repeated in this process, which reports the error.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

import torch

from infer.cluster import enter_job
from infer.cluster.ending import end, end_with_parent
from infer.config import Config
from infer.config.root import AUTO
from infer.console import Console
from infer.context import Context
from infer.costs import memory_of_another_process, to_make
from infer.environment import available_memory_bytes
from infer.interruption import interruption
from infer.pipeline.plan import ArtefactPlan, by_stage, plan_evaluations
from infer.pipeline.prepare import prepare
from infer.ranks import ranks
from infer.stages.make_artefacts import make_in_turn
from infer.store import Artefact


@dataclass(frozen=True)
class SharedRun:
    """Description of a run that is sent to the workers."""

    config: Config
    folder: Path
    order: str
    in_sweep: bool
    """Value of ``Context.in_comparing_sweep``."""


def allot_processes(context: Context, plan: ArtefactPlan) -> int:
    """Number of processes that will share the missing artefacts of ``plan``, this one included.

    ``processes=auto`` is the number of threads where each process computes with one thread (see ``Context.threads``),
    else 1. Where memory does not suffice, or the work cannot be shared, the number is lower than the setting, and a
    message says so. With several processes, ``context`` is set up accordingly.
    """
    left = to_make(context, plan)
    processes = _num_processes(context, left)
    if processes > 1:
        context.may_be_made_by_others = frozenset(artefact.signature for artefact in left)
        context.store.says_waiting = False
        context.progress.forecast.processes = processes
    return processes


def _num_processes(context: Context, left: Sequence[Artefact]) -> int:
    asked = context.config.processes
    if not left:
        return 1
    if reason := _reason_for_one(context):
        if asked not in (AUTO, 1):
            context.console.headline(f"processes={asked} has no effect: {reason}", style="yellow")
        return 1
    side_by_side = torch.get_num_threads() if context.threads == 1 else 1
    wanted = min(side_by_side if asked == AUTO else int(asked), len(left))
    if wanted == 1:
        return 1
    fitting = 1 + available_memory_bytes() // memory_of_another_process(context, left)
    if fitting < wanted and asked != AUTO:
        context.console.headline(f"processes={asked}: the free memory suffices for {fitting}", style="yellow")
    return min(wanted, fitting)


def _reason_for_one(context: Context) -> str | None:
    """Reason why other processes cannot share the run's work; None where they can."""
    if ranks.world > 1:
        return f"{ranks.world} ranks share every piece of work. Leave it out, or start one rank"
    if context.device.type != "cpu":
        return f"a GPU has one process of a run. For more of them type -m 'worker=range({context.config.processes})'"
    if context.config.sweep.trials is not None and context.config.sweep.prune:
        return "a job that may be pruned is watched in its own process. Type sweep.prune=false to share its work"
    return None


class LocalWorkers:
    """The worker processes of this process."""

    def __init__(self) -> None:
        self._members: list[tuple[SpawnProcess, Connection]] = []

    @contextlib.contextmanager
    def sharing(self, context: Context, processes: int) -> Iterator[None]:
        """Context in which ``processes`` - 1 workers also make artefacts of the run of ``context``.

        An error in this process ends the workers, after they have written their checkpoints.
        """
        run = SharedRun(context.config, context.run_folder, context.order, context.in_comparing_sweep)
        self._members = [member for member in self._members if member[0].is_alive()]
        while len(self._members) < processes - 1:
            self._members.append(_started())
        try:
            for _, pipe in self._members[: processes - 1]:
                with contextlib.suppress(OSError):  # a worker that was killed; the others do its work
                    pipe.send(run)
            yield
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """End the workers and wait until they have written their checkpoints."""
        for _, pipe in self._members:
            pipe.close()
        end([process for process, _ in self._members])
        self._members = []


local_workers = LocalWorkers()
"""The worker processes of this process."""


def _started() -> tuple[SpawnProcess, Connection]:
    spawning = multiprocessing.get_context("spawn")  # a forked copy of a process with threads can hang
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=_work, args=(theirs,), daemon=True)
    # workers ignore Ctrl-C, since this process ends them
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    process.start()
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    return process, ours


def _work(pipe: Connection) -> None:
    """Make artefacts of the runs that arrive through ``pipe`` until it is closed or a signal arrives."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - open until the process ends
    with contextlib.suppress(KeyboardInterrupt, EOFError):
        interruption.handle_signals()
        end_with_parent()
        while True:
            _share(pipe.recv())


def _share(run: SharedRun) -> None:
    with contextlib.suppress(Exception):  # repeated and reported by the parent process
        enter_job(run.config.cluster)
        context = prepare(run.config, run.folder, Console(brief=True), [], torch.device("cpu"), run.order)
        for stage, artefacts in by_stage(plan_evaluations(context, run.in_sweep)).items():
            if stage in run.config.stages:
                make_in_turn(context, artefacts)
