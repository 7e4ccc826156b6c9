"""SLURM: checks before jobs are submitted, and the wait until the last of them has ended."""

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
from infer.cluster.optional_packages import require_extra
from infer.cluster.snapshot import setup_of_job
from infer.config.cluster import SlurmCluster
from infer.errors import UsageError
from infer.words import has_controls, visible

if TYPE_CHECKING:
    from infer.cluster.queue import QueueWatcher

_ASK_EVERY_S = 60
"""The longest time between two questions about jobs; submitit's is 10 minutes."""
_LOOK_EVERY_S = 1
_SPEAK_AFTER_S = 10
_SPEAK_EVERY_S = 300
_NAMED_JOBS = 5


def prepare(cluster: SlurmCluster, launcher: Mapping[str, Any], num_jobs: int) -> None:
    """See ``infer.cluster.prepare``."""
    require_extra("slurm")
    folder = str(launcher.get("submitit_folder", ""))
    if has_controls(folder):
        raise UsageError(f"{visible(folder)} holds a control character: sbatch reads lines. Rename it")
    if cluster.dry_run:
        from infer.cluster.script import script

        print(script(launcher, num_jobs))
        raise SystemExit(0)
    _require_commands()
    if not cluster.snapshot:
        _require_package_in_jobs()
    _watch_jobs()


def launcher_settings(cluster: SlurmCluster, snapshot: Path) -> dict[str, Any]:
    """See ``infer.cluster.launcher_settings``."""
    return {"setup": [*cluster.setup, *(setup_of_job(snapshot) if cluster.snapshot else ())]}


def wait_for_jobs(sweep_folder: Path) -> None:
    """See ``infer.cluster.wait_for_jobs``; prints the jobs it waits for now and then.

    The queue decides, not a job's result file: one that ended well may have been queued again, as when its node failed.
    """
    from infer.cluster.queue import QueueWatcher

    queue = QueueWatcher(delay_s=_ASK_EVERY_S)
    jobs = _submitted_jobs(sweep_folder)
    for job in jobs:
        queue.register_job(job)
    speak_at = time.monotonic() + _SPEAK_AFTER_S
    while jobs := [job for job in jobs if not queue.is_done(job)]:
        if time.monotonic() >= speak_at:
            print(f"Waiting for jobs on SLURM: {_listed(jobs, queue)}", flush=True)
            speak_at = time.monotonic() + _SPEAK_EVERY_S
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
    """Set submitit's watcher: accounting where the cluster keeps it, else the queue."""
    from submitit import SlurmJob
    from submitit.slurm.slurm import SlurmInfoWatcher

    from infer.cluster.queue import QueueWatcher

    SlurmJob.watcher = (SlurmInfoWatcher if _keeps_accounts() else QueueWatcher)(delay_s=_ASK_EVERY_S)


def _keeps_accounts() -> bool:
    """True if ``sacct`` knows the state of ended jobs."""
    answer = subprocess.run(["scontrol", "show", "config"], capture_output=True, text=True)
    if answer.returncode:
        reason = " ".join(answer.stderr.split())
        raise UsageError(f"cluster=slurm was given, but SLURM does not answer: {reason}. Try: sinfo")
    found = re.search(r"^AccountingStorageType\s*=\s*(\S+)", answer.stdout, re.MULTILINE)
    return found is not None and found[1] == "accounting_storage/slurmdbd"


def _submitted_jobs(sweep_folder: Path) -> list[str]:
    """The ids of the sweep's jobs, from submitit's files; the folder of an array itself is not a job's."""
    return sorted(path.parent.name for path in sweep_folder.glob(".submitit/*/*_submitted.pkl"))


def _listed(jobs: list[str], queue: "QueueWatcher") -> str:
    """The first jobs with their states, and how many more there are."""
    first = [f"{job} {queue.get_state(job, mode='cache').lower()}" for job in jobs[:_NAMED_JOBS]]
    more = len(jobs) - len(first)
    return ", ".join(first + [f"and {more} more"] * bool(more))
