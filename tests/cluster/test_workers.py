"""Processes that run jobs: their threads, and a GPU each as long as there are enough."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from infer.cluster import enter_job, slurm, workers
from infer.config.cluster import JoblibCluster, SlurmCluster

_CLAIM = """\
import sys
from pathlib import Path
from infer.cluster.workers import claim_gpu
for line in sys.stdin:
    print(claim_gpu(int(line), Path(sys.argv[1])).number, flush=True)
"""


class Worker:
    """A process that claims whenever it is told to."""

    def __init__(self, folder: Path, visible: str | None) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
        environment |= {"CUDA_VISIBLE_DEVICES": visible} if visible else {}
        command = [sys.executable, "-c", _CLAIM, str(folder)]
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def claim(self, gpus: int) -> int:
        """The number it gets of ``gpus``."""
        self._process.stdin.write(f"{gpus}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def die(self) -> None:
        """End the process as the out-of-memory killer does."""
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()


@pytest.fixture
def worker(tmp_path) -> Iterator[Callable[..., Worker]]:
    """Starts a process that shares its claims with the others of the test."""
    started = []

    def start(visible: str | None = None) -> Worker:
        started.append(Worker(tmp_path / "claims", visible))
        return started[-1]

    yield start
    for each in started:
        each.die()


@pytest.mark.parametrize(("processes", "gpus"), [(3, 3), (2, 4), (4, 1), (5, 2)])
def test_gpus_are_shared_as_evenly_as_possible(worker, processes, gpus):
    claimed = Counter(worker().claim(gpus) for _ in range(processes))
    shares = [claimed[number] for number in range(gpus)]
    assert sum(shares) == processes and max(shares) - min(shares) <= 1


def test_a_process_keeps_its_gpu_from_job_to_job(worker):
    first, second = worker(), worker()
    numbers = [first.claim(2), second.claim(2)]
    assert numbers == [0, 1]
    assert [first.claim(2), second.claim(2)] == numbers


def test_the_gpu_of_a_dead_process_is_free_again(worker):
    first, second, third = worker(), worker(), worker()
    assert [first.claim(2), second.claim(2), third.claim(2)] == [0, 1, 0]
    second.die()
    assert worker().claim(2) == 1
    first.die()
    third.die()
    assert worker().claim(2) == 0


def test_processes_that_see_different_gpus_count_the_same_ones(worker):
    assert worker(visible="1").claim(1) == 0  # GPU 1 of the machine
    assert worker().claim(2) == 0
    assert worker(visible="1,2").claim(2) == 1  # GPU 2 of the machine


def test_jobs_in_processes_share_the_cores(monkeypatch):
    given = []
    monkeypatch.setattr(torch, "set_num_threads", given.append)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    monkeypatch.setattr(workers.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    for cluster in (JoblibCluster(processes=2), JoblibCluster(processes=9), JoblibCluster(processes=2, threads=3)):
        assert enter_job(cluster) is None
    assert given == [4, 1, 3]
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)  # as a person set it, by OMP_NUM_THREADS
    enter_job(JoblibCluster(processes=2))
    assert given[-1] == 1


def test_a_job_in_a_process_gets_the_claimed_device(monkeypatch, tmp_path):
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(workers.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    try:
        assert enter_job(JoblibCluster()) == enter_job(JoblibCluster()) == torch.device("cuda", 0)
        assert len(list(tmp_path.glob("*/0.*.claim"))) == 1
    finally:
        workers.claim_gpu.cache_clear()


@pytest.mark.parametrize(
    ("rank", "gpus", "settings", "device"),
    [
        ("3", 4, {"jobs_per_node": 4}, 3),
        ("3", 2, {"jobs_per_gpu": 2, "jobs_per_node": 4}, 1),
        ("1", 4, {"jobs_per_node": 2, "gpus": 2}, 2),
        ("1", 0, {"jobs_per_node": 4, "gpus": 0}, None),
    ],
)
@pytest.mark.parametrize(("cores", "stays"), [(8, True), (7, False), (2, False)])
def test_jobs_of_one_element_take_turns_at_its_cores_and_gpus(monkeypatch, rank, gpus, settings, device, cores, stays):
    """Unless SLURM has divided the cores itself, or has given the element none of its own."""
    cluster, kept = SlurmCluster(**settings), []
    cpus = 8 // cluster.jobs_per_element
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", str(cpus))
    monkeypatch.setenv("SLURM_LOCALID", rank)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(slurm.os, "sched_getaffinity", lambda _: set(range(10, 10 + cores)))
    monkeypatch.setattr(slurm.os, "sched_setaffinity", lambda _, cores: kept.extend(cores))
    assert enter_job(cluster) == (None if device is None else torch.device("cuda", device))
    first = 10 + int(rank) * cpus
    assert kept == (list(range(first, first + cpus)) if stays else [])


@pytest.mark.parametrize(("cpus", "threads"), [("3", [3]), (None, [])])
def test_a_slurm_job_uses_the_cpus_it_was_given(monkeypatch, cpus, threads):
    given = []
    monkeypatch.setattr(torch, "set_num_threads", given.append)
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    if cpus:
        monkeypatch.setenv("SLURM_CPUS_PER_TASK", cpus)
    assert enter_job(SlurmCluster()) is None
    assert given == threads
