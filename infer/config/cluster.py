"""Settings of ``cluster``: jobs run one after another in this process, in several local processes, or on SLURM."""

import math
import re
from dataclasses import dataclass, field
from typing import Any

from infer.config.checks import require, require_at_least
from infer.words import visible

_SETTING_OF = {
    "time": "time_min",
    "signal": "signal_delay_s",
    "array": "array_parallelism",
    "partition": "partition",
    "account": "account",
    "qos": "qos",
    "mem": "memory_gb",
    "cpus-per-task": "cpus",
    "gpus-per-node": "gpus",
    "ntasks-per-node": "gpus_per_job",
    "nodes": "nodes",
}
"""Parameters of sbatch, and the setting of ``cluster`` that determines each."""
_SUBMITITS = ("output", "error", "open-mode")
"""Parameters of sbatch that submitit sets itself; it could not follow its jobs if they were changed."""
_COUNTS = (
    "time_min",
    "memory_gb",
    "gpus_per_job",
    "nodes",
    "cpus",
    "array_parallelism",
    "signal_delay_s",
    "jobs_per_gpu",
    "jobs_per_node",
)
"""Settings that must be at least 1."""
_SLURM_SIGNALS_EARLY_S = 60
"""Seconds by which SLURM may send its signal too early."""


@dataclass
class ClusterConfig:
    """Jobs run one after another in the process of the command."""

    name: str = "local"


@dataclass
class JoblibCluster(ClusterConfig):
    """Jobs run in several processes on this machine.

    Each process uses an equal share of the cores and, where there are GPUs, one of them.
    """

    name: str = "joblib"
    processes: int = 2
    """Number of processes, each of which runs one job at a time."""
    threads: int | None = None
    """Threads per process; null: the number of cores divided by ``processes``, at least 1."""

    def __post_init__(self) -> None:
        require_at_least(1, "cluster.processes", self.processes)
        require_at_least(1, "cluster.threads", self.threads)


@dataclass
class SlurmCluster(ClusterConfig):
    """Jobs run as elements of a SLURM job array.

    An element runs one job, or several at the same time (``jobs_per_gpu``, ``jobs_per_node``). Memory, CPUs, GPUs and
    the time limit are given for one job.
    """

    name: str = "slurm"
    time_min: int = 240
    """Time limit of a job in minutes. A job that reaches it is queued again, see ``requeues``. The limit must leave a
    job at least a minute before it is told to stop, see ``signal_delay_s``."""
    memory_gb: int | None = 16
    """Main memory of a job in GB; null: the cluster's default."""
    gpus: int | None = 1
    """GPUs of a job; 0 for a cluster without GPUs; null: none are requested here, so that ``additional`` can do it, for
    example with ``gres``."""
    gpus_per_job: int = 1
    """Ranks (processes) that share the work of one job, each with a GPU of its own; with ``gpus=0`` without GPUs."""
    nodes: int = 1
    """Machines over which the ranks of a job are distributed evenly; it must divide ``gpus_per_job``. ``memory_gb`` is
    then the memory on each machine."""
    cpus: int = 4
    """CPUs of a job; with several ranks, CPUs of each rank."""
    partition: str | None = None
    """Partition that jobs are submitted to; null: the cluster's default."""
    account: str | None = None
    """Account that jobs are charged to; null: the cluster's default."""
    qos: str | None = None
    """Quality of service of the jobs; null: the cluster's default."""
    array_parallelism: int = 16
    """Number of jobs of a sweep that may run at the same time."""
    requeues: int = 3
    """Number of times that a job is queued again, to resume, after it has reached its time limit. Preemption by other
    jobs does not count."""
    signal_delay_s: int = 120
    """Time in seconds before the limit at which a job is told to stop; SLURM may send the signal up to a minute
    earlier."""
    setup: list[str] = field(default_factory=list)
    """Shell commands that a job runs before Python: ``cluster.setup=["module load cuda"]``."""
    additional: dict[str, Any] = field(default_factory=dict)
    """Other parameters of sbatch, without the dashes: ``+cluster.additional.constraint=a100``. ``wckey`` replaces the
    one that submitit sets."""
    snapshot: bool = True
    """Copy settings and code into the sweep's folder when jobs are submitted, and run the jobs from this copy; false:
    jobs use the files as they are when they start."""
    detach: bool = False
    """Return as soon as the jobs are queued. The last job to end then writes the sweep's table and report."""
    jobs_per_gpu: int = 1
    """Jobs that share the GPUs of one job (see ``gpus``), in one element of the array."""
    jobs_per_node: int | None = None
    """Jobs that one element of the array runs at the same time, each with ``cpus`` CPUs, ``memory_gb`` GB and its share
    of the GPUs; a multiple of ``jobs_per_gpu``; null: ``jobs_per_gpu``."""
    grow_memory: bool = False
    """Submit an element that was killed for its memory once more, with twice ``memory_gb``. Where SLURM does not give
    the reason, every SIGKILL is taken for one."""
    dry_run: bool = False
    """Print the script that would be submitted to sbatch, and submit nothing."""

    def __post_init__(self) -> None:
        for key in _COUNTS:
            require_at_least(1, f"cluster.{key}", getattr(self, key))
        self._require_equal_shares()
        require(
            not self.grow_memory or self.memory_gb is not None,
            "cluster.grow_memory",
            "true",
            "give cluster.memory_gb, which is to be doubled",
        )
        for key in ("gpus", "requeues"):
            require_at_least(0, f"cluster.{key}", getattr(self, key))
        self._require_time_to_work()
        self._require_even_ranks()
        for parameter in self.additional:
            _require_additional(parameter)

    @property
    def jobs_per_element(self) -> int:
        """Jobs that one element of the array runs at the same time."""
        return self.jobs_per_node or self.jobs_per_gpu

    def _require_equal_shares(self) -> None:
        require(
            self.gpus != 0 or self.jobs_per_gpu == 1,
            "cluster.jobs_per_gpu",
            self.jobs_per_gpu,
            "with cluster.gpus=0 there is none to share. Type cluster.jobs_per_node",
        )
        require(
            self.jobs_per_element % self.jobs_per_gpu == 0,
            "cluster.jobs_per_node",
            self.jobs_per_node,
            f"it must be a multiple of cluster.jobs_per_gpu={self.jobs_per_gpu}",
        )

    def _require_time_to_work(self) -> None:
        """Refuse a time limit so short that a job would be told to stop as soon as it starts, again and again."""
        least = math.ceil((self.signal_delay_s + _SLURM_SIGNALS_EARLY_S + 60) / 60)
        require(
            self.time_min >= least,
            "cluster.time_min",
            self.time_min,
            f"with cluster.signal_delay_s={self.signal_delay_s} it must be at least {least}, "
            "so that a job has a minute before it is told to stop",
        )

    def _require_even_ranks(self) -> None:
        """Refuse ranks that do not divide evenly over the nodes, and two settings for the number of GPUs."""
        require(
            self.gpus_per_job % self.nodes == 0,
            "cluster.gpus_per_job",
            self.gpus_per_job,
            f"cluster.nodes={self.nodes} must divide it, e.g. cluster.gpus_per_job={self.nodes}",
        )
        require(
            self.gpus_per_job == 1 or self.gpus in (0, 1, None),
            "cluster.gpus",
            self.gpus,
            f"with cluster.gpus_per_job={self.gpus_per_job} leave it out: each rank has a GPU",
        )
        require(
            self.gpus_per_job == 1 or self.jobs_per_element == 1,
            "cluster.gpus_per_job",
            self.gpus_per_job,
            "jobs of several ranks have an element of the array each: leave out cluster.jobs_per_gpu and jobs_per_node",
        )


def _require_additional(parameter: str) -> None:
    """Raise UsageError where ``parameter`` is no parameter of sbatch, or is determined by another setting."""
    name = str(parameter).replace("_", "-")
    require(
        re.fullmatch(r"[a-z][a-z-]*", name) is not None,
        f"cluster.additional.{visible(str(parameter))}",
        "...",
        "a parameter of sbatch is lower-case letters and dashes",
    )
    setting = _SETTING_OF.get(name)
    allowed = f"use cluster.{setting}" if setting else "submitit sets it"
    require(setting is None and name not in _SUBMITITS, f"cluster.additional.{parameter}", "...", allowed)
