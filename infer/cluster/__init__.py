"""Execution of the jobs of a sweep as set by ``cluster``: the steps in addition to those of Hydra's launchers."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infer.cluster.element import job_id, was_started_before
from infer.config.cluster import ClusterConfig, JoblibCluster, SlurmCluster
from infer.ranks import ranks

if TYPE_CHECKING:
    import torch
    from hydra.core.config_loader import ConfigLoader

__all__ = [
    "enter_job",
    "enter_launcher",
    "enter_ranks",
    "freeze",
    "have_all_ended",
    "job_id",
    "launcher_settings",
    "leave_job",
    "prepare",
    "wait_for_jobs",
    "was_started_before",
]


def launcher_settings(cluster: ClusterConfig, snapshot: Path, at_end: str | None) -> dict[str, Any]:
    """Settings of Hydra's launcher that follow from those of ``cluster`` and the folder of the sweep's snapshot.

    ``at_end`` is a command to run at the end of an array element, with the exit code of its jobs as last argument.
    """
    if isinstance(cluster, SlurmCluster):
        from infer.cluster import slurm

        return slurm.launcher_settings(cluster, snapshot, at_end)
    return {}


def prepare(cluster: ClusterConfig, launcher: Mapping[str, Any], num_jobs: int) -> None:
    """Check that jobs can run on ``cluster``. It is called once, in the launching process, before any job starts.

    ``launcher`` contains the settings of Hydra's launcher. Raises UsageError, and SystemExit(0) after a dry run.
    """
    if isinstance(cluster, JoblibCluster):
        from infer.cluster.optional_packages import require_extra

        require_extra(cluster.name)
    if isinstance(cluster, SlurmCluster):
        from infer.cluster import slurm

        slurm.prepare(cluster, launcher, num_jobs)


def freeze(cluster: ClusterConfig, snapshot: Path, loader: "ConfigLoader") -> bool:
    """Copy settings and code into ``snapshot`` for jobs that start later; ``loader`` then reads the copies.

    Returns False where jobs need no copy. Raises UsageError where the files are too large.
    """
    if not isinstance(cluster, SlurmCluster) or not cluster.snapshot:
        return False
    from infer.cluster.snapshot import take

    take(snapshot, loader)
    return True


def wait_for_jobs(cluster: ClusterConfig, sweep_folder: Path) -> None:
    """Return when no job of the sweep is pending or running any more.

    On SLURM, Hydra's launcher stops waiting at the first job that is lost, while others may still run. Other launchers
    return after all jobs.
    """
    if isinstance(cluster, SlurmCluster):
        from infer.cluster import slurm

        slurm.wait_for_jobs(sweep_folder)


def enter_ranks(cluster: ClusterConfig) -> None:
    """Connect this process with the other ranks of its job, if there are any."""
    if isinstance(cluster, SlurmCluster) and cluster.gpus_per_job > 1:
        from infer.cluster import slurm

        slurm.name_ranks()
    ranks.start()


def have_all_ended(sweep_folder: Path) -> bool:
    """True if no job of a sweep on SLURM is pending or running any more; False also where SLURM cannot be asked."""
    from infer.cluster import slurm

    return slurm.have_all_ended(sweep_folder)


def enter_launcher(cluster: ClusterConfig) -> None:
    """Set how signals end the process that launches a sweep."""
    if isinstance(cluster, JoblibCluster):
        from infer.cluster import ending

        ending.end_workers_first()


def leave_job(code: int) -> None:
    """Exit with ``code`` where an interrupted job must end its process, which joblib would keep for the next job."""
    from infer.cluster import ending

    ending.leave_worker(code)


def enter_job(cluster: ClusterConfig) -> "torch.device | None":
    """Set the threads of the process that runs a job, before it computes anything, and return its own GPU, if any.

    It may be called for every job of a process, which keeps its GPU.
    """
    if isinstance(cluster, JoblibCluster):
        from infer.cluster import workers

        return workers.enter(cluster)
    if isinstance(cluster, SlurmCluster):
        from infer.cluster import slurm

        return slurm.enter(cluster)
    return None
