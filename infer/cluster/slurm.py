"""SLURM: checks before jobs are submitted, settings of jobs, and waiting for the last job to end."""

import math
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import infer
from infer.cluster.marks import SUBMITTED, is_marked
from infer.cluster.optional_packages import require_extra
from infer.cluster.snapshot import setup_of_job
from infer.config.cluster import SlurmCluster
from infer.errors import UsageError
from infer.words import has_controls, visible

if TYPE_CHECKING:
    import torch

    from infer.cluster.queue import QueueWatcher

_ASK_EVERY_S = 60
"""Longest time in seconds between two queries of SLURM; that of submitit is 10 minutes."""
_LOOK_EVERY_S = 1
_SPEAK_AFTER_S = 10
_SPEAK_EVERY_S = 300
_MOST_NAMED = 5


def prepare(cluster: SlurmCluster, launcher: Mapping[str, Any], num_jobs: int) -> None:
    """See ``infer.cluster.prepare``."""
    require_extra("slurm")
    folder = str(launcher.get("submitit_folder", ""))
    if has_controls(folder):
        raise UsageError(f"{visible(folder)} contains a control character, which sbatch cannot read. Rename it")
    if cluster.dry_run:
        from infer.cluster.script import script

        print(script(launcher, math.ceil(num_jobs / cluster.jobs_per_element)))
        raise SystemExit(0)
    from infer.cluster.launcher import use

    _require_commands()
    if not cluster.snapshot:
        _require_package_in_jobs()
    if cluster.gpus_per_job > 1:  # read by srun in the job: if one rank fails, all are ended
        os.environ["SLURM_KILL_BAD_EXIT"] = "1"
    _watch_jobs()
    use()


def launcher_settings(cluster: SlurmCluster, snapshot: Path, at_end: str | None) -> dict[str, Any]:
    """See ``infer.cluster.launcher_settings``."""
    jobs = cluster.jobs_per_element
    settings: dict[str, Any] = {"setup": [*cluster.setup, *(setup_of_job(snapshot) if cluster.snapshot else ())]}
    if at_end:
        settings["setup"] += [
            "trap 'trap - EXIT; exit 143' TERM  # SLURM ends it, or queues it again",
            f"trap {shlex.quote(f'{at_end} $?')} EXIT",
        ]
    if jobs > 1:
        settings["setup"].append("export SLURM_KILL_BAD_EXIT=0  # a killed job does not take its neighbours along")
        settings |= {
            "tasks_per_node": jobs,
            "mem_gb": None if cluster.memory_gb is None else cluster.memory_gb * jobs,
            "gpus_per_node": None if cluster.gpus is None else cluster.gpus * jobs // cluster.jobs_per_gpu,
            "array_parallelism": math.ceil(cluster.array_parallelism / jobs),
        }
    return settings


def wait_for_jobs(sweep_folder: Path) -> None:
    """See ``infer.cluster.wait_for_jobs``; the jobs that are waited for are printed every few minutes.

    The queue decides and not the result file of a job, since a job with a result may have been queued again, for
    example when its node failed.
    """
    from infer.cluster.queue import QueueWatcher

    queue = QueueWatcher(delay_s=_ASK_EVERY_S)
    speak_at = time.monotonic() + _SPEAK_AFTER_S
    while True:
        for job in _submitted_jobs(sweep_folder):  # in every round, since jobs may be submitted again with more memory
            queue.register_job(job)
        if not (jobs := [job for job in _submitted_jobs(sweep_folder) if not queue.is_done(job)]):
            return
        if time.monotonic() >= speak_at:
            print(f"Waiting for jobs on SLURM: {_listed(jobs, queue)}", flush=True)
            speak_at = time.monotonic() + _SPEAK_EVERY_S
        time.sleep(_LOOK_EVERY_S)


def have_all_ended(sweep_folder: Path) -> bool:
    """See ``infer.cluster.have_all_ended``."""
    jobs = [job for job in _submitted_jobs(sweep_folder) if not is_marked(sweep_folder, job)]
    if jobs and shutil.which("squeue") is None:
        return False
    from infer.cluster.queue import QueueWatcher

    queue = QueueWatcher(delay_s=_ASK_EVERY_S)
    for job in jobs:
        queue.register_job(job)
    queue.update()
    return all(queue.is_done(job, mode="cache") for job in jobs)


def enter(cluster: SlurmCluster) -> "torch.device | None":
    """Set the number of threads to that of the CPUs of a job, and return the GPU of a job that shares its element."""
    import torch

    cpus = int(os.environ.get("SLURM_CPUS_PER_TASK", 0))
    if cpus:
        torch.set_num_threads(cpus)
    jobs, rank = cluster.jobs_per_element, int(os.environ.get("SLURM_LOCALID", 0))
    if jobs == 1:
        return None
    _stay_on_own_cores(rank, cpus, jobs)
    gpus = torch.cuda.device_count()
    return torch.device("cuda", rank // cluster.jobs_per_gpu * (cluster.gpus or 1) % gpus) if gpus else None


def _stay_on_own_cores(rank: int, cpus: int, jobs: int) -> None:
    """Restrict the process to this job's share of cores, if SLURM gave the element exactly the cores of its jobs."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if cpus and len(cores) == cpus * jobs:
        os.sched_setaffinity(0, cores[rank * cpus : (rank + 1) * cpus])


def name_ranks() -> None:
    """Set the environment variables by which torch connects ranks, from those that SLURM sets for the job's tasks."""
    from submitit.helpers import TorchDistributedEnvironment

    named = TorchDistributedEnvironment()
    try:
        socket.gethostbyname(named.master_addr)
    except OSError:  # names of nodes may be known to SLURM only
        named.master_addr = os.environ.get("SLURM_LAUNCH_NODE_IPADDR", named.master_addr)
    named.export(set_cuda_visible_devices=False, overwrite=True)


def _require_commands() -> None:
    for command in ("sbatch", "srun", "squeue", "scontrol"):
        if shutil.which(command) is None:
            raise UsageError(
                f"cluster=slurm needs {command}, which is not on PATH. Type this on a machine that submits jobs, or "
                "with cluster.dry_run=true to see what would be submitted, or with cluster=local"
            )


def _require_package_in_jobs() -> None:
    """Raise UsageError unless Python imports this package in a job.

    A job starts in the current folder, and the folder of ``launch.py`` is not on its path.
    """
    look = "import importlib.util as u; spec = u.find_spec('infer'); print(spec.origin if spec else '')"
    found = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout.strip()
    if not found or not Path(found).samefile(infer.__file__):
        raise UsageError(
            f"cluster=slurm runs jobs with {sys.executable}, where `import infer` finds {found or 'nothing'}. "
            f'Type: pip install -e "{Path(infer.__file__).parents[1]}[slurm]"'
        )


def _watch_jobs() -> None:
    """Set the watcher of submitit: by accounting if the cluster has it, otherwise by the queue."""
    from submitit import SlurmJob
    from submitit.slurm.slurm import SlurmInfoWatcher

    from infer.cluster.queue import QueueWatcher

    SlurmJob.watcher = (SlurmInfoWatcher if _keeps_accounts() else QueueWatcher)(delay_s=_ASK_EVERY_S)


def _keeps_accounts() -> bool:
    """True if the cluster has accounting, so that ``sacct`` knows the states of ended jobs."""
    answer = subprocess.run(["scontrol", "show", "config"], capture_output=True, text=True)
    if answer.returncode:
        reason = " ".join(answer.stderr.split())
        raise UsageError(f"cluster=slurm was given, but SLURM does not answer: {reason}. Try: sinfo")
    found = re.search(r"^AccountingStorageType\s*=\s*(\S+)", answer.stdout, re.MULTILINE)
    return found is not None and found[1] == "accounting_storage/slurmdbd"


def _submitted_jobs(sweep_folder: Path) -> list[str]:
    """Ids of the sweep's jobs, from the files of submitit; the folder of an array itself has no such file."""
    return sorted(path.parent.name for path in sweep_folder.glob(f"{SUBMITTED}/*/*_submitted.pkl"))


def _listed(jobs: list[str], queue: "QueueWatcher") -> str:
    """The first jobs with their states and the number of others, as text."""
    first = [f"{job} {queue.get_state(job, mode='cache').lower()}" for job in jobs[:_MOST_NAMED]]
    more = len(jobs) - len(first)
    return ", ".join(first + [f"and {more} more"] * bool(more))
