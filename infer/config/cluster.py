"""Settings of ``cluster``: jobs one after another here, in several processes here, or on SLURM."""

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
"""sbatch's parameters that are set by a setting of their own."""
_SUBMITITS = ("output", "error", "open-mode")
"""sbatch's parameters without which submitit loses sight of its jobs."""
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
"""Settings that are at least 1."""
_SLURM_SIGNALS_EARLY_S = 60


@dataclass
class ClusterConfig:
    """One job after the other in the process that was typed."""

    name: str = "local"


@dataclass
class JoblibCluster(ClusterConfig):
    """Several processes on this machine, each with its share of the cores and, where there are GPUs, one of them."""

    name: str = "joblib"
    processes: int = 2
    """Jobs at once."""
    threads: int | None = None
    """Threads of each process; null: the machine's cores divided by ``processes``, at least 1."""

    def __post_init__(self) -> None:
        require_at_least(1, "cluster.processes", self.processes)
        require_at_least(1, "cluster.threads", self.threads)


@dataclass
class SlurmCluster(ClusterConfig):
    """Elements of a SLURM job array, each a job or several side by side; sizes and limits are those of one job."""

    name: str = "slurm"
    time_min: int = 240
    """Time limit in minutes; a job that reaches it is queued again, see ``requeues``."""
    memory_gb: int | None = 16
    """Main memory in GB; null: the cluster's default."""
    gpus: int | None = 1
    """0 on a cluster without GPUs; null: left to ``additional``, for example ``gres``."""
    gpus_per_job: int = 1
    """Ranks that share the work of one job, each with a GPU of its own (with gpus=0 without)."""
    nodes: int = 1
    """Machines that the ranks of a job are spread over, the same number on each; ``memory_gb`` is that of each."""
    cpus: int = 4
    """CPUs of a job, of each rank where there are several."""
    partition: str | None = None
    """null: the cluster's default, as for ``account`` and ``qos``."""
    account: str | None = None
    qos: str | None = None
    array_parallelism: int = 16
    """Jobs of the sweep that run at once."""
    requeues: int = 3
    """Times that a job that ran out of time is queued again, to resume. Preemption by other jobs does not count."""
    signal_delay_s: int = 120
    """Seconds before its limit at which a job is told to stop; SLURM may do so up to a minute earlier."""
    setup: list[str] = field(default_factory=list)
    """Shell lines that run in the job before Python: ``cluster.setup=["module load cuda"]``."""
    additional: dict[str, Any] = field(default_factory=dict)
    """Any other parameter of sbatch, without its dashes: ``+cluster.additional.constraint=a100``; ``wckey`` replaces
    the one that submitit gives its jobs."""
    snapshot: bool = True
    """Jobs run the settings and the code that were there when they were submitted, from a copy in the sweep's folder;
    false: what is there when they start."""
    detach: bool = False
    """Return when the jobs are queued; the last of them to end writes the sweep's table and report."""
    jobs_per_gpu: int = 1
    """Jobs that share a GPU (or as many as ``gpus`` says), in one element of the array."""
    jobs_per_node: int | None = None
    """Jobs of one element of the array, side by side, each with its own ``cpus``, ``memory_gb`` and share of the GPUs;
    null: ``jobs_per_gpu``."""
    grow_memory: bool = False
    """Start an element that was killed for its memory once more with twice ``memory_gb``. Where SLURM does not say
    why, any SIGKILL counts."""
    dry_run: bool = False
    """Print the script that sbatch would get, and submit nothing."""

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
        """Jobs that one element of the array runs side by side."""
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
        """Refuse a limit under which a job is told to stop as soon as it starts, and is queued again and again."""
        least = math.ceil((self.signal_delay_s + _SLURM_SIGNALS_EARLY_S + 60) / 60)
        require(
            self.time_min >= least,
            "cluster.time_min",
            self.time_min,
            f"with cluster.signal_delay_s={self.signal_delay_s} it must be at least {least}, "
            "so that a job has a minute before it is told to stop",
        )

    def _require_even_ranks(self) -> None:
        """Refuse ranks that the nodes cannot have the same number of, or two settings for the number of GPUs."""
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
    """Raise UsageError when ``parameter`` of sbatch is set elsewhere."""
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
