"""A function run by several ranks, each a process that is forked from one with torch loaded."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from helpers.launching import _forkserver

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
    """What ``work``, a function of a module, returns in each of ``count`` ranks that compute together.

    ``folder`` is for their answers.
    """
    files = [folder / f"rank{rank}.pt" for rank in range(count)]
    processes = [
        _forkserver.Process(target=_answer, args=(environment, file, work, arguments))
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
