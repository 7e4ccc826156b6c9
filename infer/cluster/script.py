"""The script for sbatch, written without submitting it, also on machines without SLURM."""

from collections.abc import Mapping
from typing import Any

from submitit.slurm.slurm import SlurmExecutor

_NOT_OF_SBATCH = ("_target_", "submitit_folder", "max_num_timeout")


class _NeverSubmits(SlurmExecutor):
    @classmethod
    def affinity(cls) -> int:
        """A positive number, which makes the executor available without ``srun``."""
        return 1


def configure(executor: SlurmExecutor, launcher: Mapping[str, Any]) -> None:
    """Pass the settings of Hydra's launcher to submitit."""
    given = {key: value for key, value in launcher.items() if value is not None and key not in _NOT_OF_SBATCH}
    executor.update_parameters(**executor._convert_parameters(given))


def script(launcher: Mapping[str, Any], num_jobs: int) -> str:
    """The script that Hydra's launcher with the settings ``launcher`` submits for ``num_jobs`` jobs."""
    executor = _NeverSubmits(launcher["submitit_folder"], max_num_timeout=launcher["max_num_timeout"])
    configure(executor, launcher)
    if num_jobs > 1:
        executor.parameters["map_count"] = num_jobs
    return executor._make_submission_file_text(executor._submitit_command_str, uid="")
