"""SLURM: what must hold before jobs are submitted, and the wait until the last of them has ended."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import infer
from infer.cluster.extras import require_extra
from infer.config.cluster import SlurmCluster
from infer.errors import UsageError

if TYPE_CHECKING:
    from submitit import SlurmJob

_ASK_EVERY_S = 60
"""The longest time between two questions about jobs; submitit's is 10 minutes."""
_LOOK_EVERY_S = 1
_SPEAK_EVERY_S = 300
_NAMED_JOBS = 5


def prepare(cluster: SlurmCluster, launcher: Mapping[str, Any], sweep_folder: Path, num_jobs: int) -> None:
    """See ``infer.cluster.prepare``."""
    require_extra("slurm")
    if cluster.dry_run:
        from infer.cluster.script import script

        print(script(launcher, num_jobs))
        raise SystemExit(0)
    _require_commands()
    _require_package_in_jobs()
    _watch_jobs()


def wait_for_jobs(sweep_folder: Path) -> None:
    """See ``infer.cluster.wait_for_jobs``; says now and then what it waits for."""
    jobs = _submitted_jobs(sweep_folder)
    last_said = -float("inf")
    while jobs := [job for job in jobs if not job.done()]:
        if time.monotonic() - last_said >= _SPEAK_EVERY_S:
            print(f"Waiting for jobs on SLURM: {_listed(jobs)}", flush=True)
            last_said = time.monotonic()
        time.sleep(_LOOK_EVERY_S)


def use_allocated_cpus() -> None:
    """Compute with as many threads as CPUs were asked for."""
    if cpus := os.environ.get("SLURM_CPUS_PER_TASK"):
        import torch

        torch.set_num_threads(int(cpus))


def _require_commands() -> None:
    for command in ("sbatch", "srun", "squeue", "scontrol"):
        if shutil.which(command) is None:
            raise UsageError(
                f"cluster=slurm needs {command}, which is not on PATH. Type this where jobs are submitted, or with "
                "cluster.dry_run=true to see what would be, or with cluster=local"
            )


def _require_package_in_jobs() -> None:
    """A job starts Python in the current folder, without the folder of ``launch.py`` on its path."""
    look = "import importlib.util as u; spec = u.find_spec('infer'); print(spec.origin if spec else '')"
    found = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout.strip()
    if not found or not Path(found).samefile(infer.__file__):
        raise UsageError(
            f"cluster=slurm runs jobs with {sys.executable}, which would import {found or 'no'} infer there. "
            f'Type: pip install -e "{Path(infer.__file__).parents[1]}[slurm]"'
        )


def _watch_jobs() -> None:
    """Let submitit learn about jobs from where this cluster keeps what it knows of them."""
    from submitit import SlurmJob
    from submitit.slurm.slurm import SlurmInfoWatcher

    from infer.cluster.queue import QueueWatcher

    SlurmJob.watcher = (SlurmInfoWatcher if _keeps_accounts() else QueueWatcher)(delay_s=_ASK_EVERY_S)


def _keeps_accounts() -> bool:
    """Whether ``sacct`` knows what became of a job."""
    answer = subprocess.run(["scontrol", "show", "config"], capture_output=True, text=True)
    if answer.returncode:
        reason = " ".join(answer.stderr.split())
        raise UsageError(f"cluster=slurm was given, but SLURM does not answer: {reason}. Try: sinfo")
    found = re.search(r"^AccountingStorageType\s*=\s*(\S+)", answer.stdout, re.MULTILINE)
    return found is not None and found[1] == "accounting_storage/slurmdbd"


def _submitted_jobs(sweep_folder: Path) -> "list[SlurmJob[Any]]":
    """The sweep's jobs, from what submitit left; an array's own folder holds no job."""
    from submitit import SlurmJob

    folder = sweep_folder / ".submitit"
    names = sorted(path.parent.name for path in folder.glob("*/*_submitted.pkl"))
    return [SlurmJob(folder=folder / "%j", job_id=name) for name in names]


def _listed(jobs: "list[SlurmJob[Any]]") -> str:
    """The first jobs with their states, and how many more there are."""
    first = [f"{job.job_id} {job.state.lower()}" for job in jobs[:_NAMED_JOBS]]
    more = len(jobs) - len(first)
    return ", ".join(first + [f"and {more} more"] * bool(more))
