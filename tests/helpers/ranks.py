"""A function run by several ranks, each a process that is forked from one with torch loaded."""

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from helpers.launching import PROGRAM, ROOT, Launched, forkserver

from infer.ranks import ranks

_TIMEOUT_S = 120


def free_port() -> int:
    """A port of this machine that nobody listens to."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def environments(count: int) -> list[dict[str, str]]:
    """The variables by which torchrun tells ``count`` ranks of one machine who they are."""
    common = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    return [common | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]


def on_ranks(count: int, folder: Path, work: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Values that ``work``, a function of a module, returns in each of ``count`` ranks that compute together.

    ``folder`` is for their answers.
    """
    files = [folder / f"rank{rank}.pt" for rank in range(count)]
    processes = [
        forkserver.Process(target=_answer, args=(environment, file, work, arguments))
        for environment, file in zip(environments(count), files, strict=True)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(_TIMEOUT_S)
    assert [process.exitcode for process in processes] == [0] * count
    return [torch.load(file, weights_only=False) for file in files]


def _answer(environment: dict[str, str], file: Path, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    os.environ.update(environment)
    torch.set_num_threads(1)
    ranks.start()
    with ranks.together():
        answer = work(*arguments)
    torch.save(answer, file)
    ranks.close()


@dataclass
class LaunchedRanks:
    """``torchrun launch.py ...`` without torchrun: every rank's process and the files of its output."""

    processes: list[Launched]
    files: list[tuple[Path, Path]]

    def wait(self) -> list[int]:
        """Exit codes by rank."""
        return [process.wait(_TIMEOUT_S) for process in self.processes]

    @property
    def output(self) -> list[str]:
        """Standard output by rank."""
        return [out.read_text() for out, _ in self.files]

    @property
    def errors(self) -> list[str]:
        """Lines of all ranks on standard error."""
        return [line for _, err in self.files for line in err.read_text().splitlines() if line]


def launch_ranks(folder: Path, *words: str, of_rank: Mapping[int, Sequence[str]] | None = None) -> LaunchedRanks:
    """Two ranks of ``python launch.py <words>`` in ``folder``; some with words of their own in ``of_rank``."""
    own = of_rank or {}
    variables = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    folder.mkdir(parents=True, exist_ok=True)
    files = [tuple(folder.parent / f"{folder.name}-{name}{rank}" for name in ("out", "err")) for rank in (0, 1)]
    for of_one in files:
        for file in of_one:
            file.unlink(missing_ok=True)
    processes = [
        Launched(folder, [*words, *own.get(rank, [])], os.environ | variables | environment, *files[rank], PROGRAM)
        for rank, environment in enumerate(environments(2))
    ]
    return LaunchedRanks(processes, files)
