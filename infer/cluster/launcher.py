"""Hydra's launcher for SLURM, extended by array elements that run several jobs, and by detached sweeps."""

from collections.abc import Sequence

from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn
from hydra_plugins.hydra_submitit_launcher.config import SlurmQueueConf
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher
from omegaconf import OmegaConf
from submitit import JobEnvironment
from submitit.slurm.slurm import SlurmExecutor

from infer.cluster.marks import unmark
from infer.cluster.script import configure
from infer.config.cluster import SlurmCluster

_Numbered = tuple[int, Sequence[str]]


class ArrayLauncher(SlurmLauncher):  # type: ignore[misc] # of a package without types
    """Launcher of job arrays with several jobs or several ranks per element.

    An element runs ``jobs_per_element`` jobs at the same time, each in a task of SLURM, or one job in all of its tasks
    (``cluster.gpus_per_job``). With ``cluster.detach``, ``launch`` returns as soon as the array is queued.
    """

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Submit the jobs, and wait for them unless ``cluster.detach``. Raises the errors of submitit."""
        cluster = OmegaConf.to_object(self.config.cluster)
        assert isinstance(cluster, SlurmCluster), "this is the launcher of cluster=slurm"
        size = cluster.jobs_per_element
        jobs: list[_Numbered] = list(enumerate(job_overrides, start=initial_job_idx))
        elements = [jobs[start : start + size] for start in range(0, len(jobs), size)]
        executor = SlurmExecutor(self.params["submitit_folder"], max_num_timeout=self.params["max_num_timeout"])
        configure(executor, self.params)
        submitted = executor.map_array(self, elements, [Singleton.get_state()] * len(elements))
        if cluster.detach:
            return []
        results = [result for job in submitted for result in job.results()[:size]]
        return [result for result in results if result is not None]

    def __call__(self, element: Sequence[_Numbered], singletons: dict[type, Singleton]) -> JobReturn | None:
        """Run the job of this process's rank in ``element``; None where the last element has no job for it."""
        environment = JobEnvironment()
        unmark(self.config.hydra.sweep.dir, environment.job_id)
        place = 0 if self.config.cluster.gpus_per_job > 1 else environment.global_rank
        if place >= len(element):
            return None
        number, overrides = element[place]
        result: JobReturn = super().__call__(list(overrides), "hydra.sweep.dir", number, str(number), singletons)
        return result


def use() -> None:
    """Let Hydra use ``ArrayLauncher`` in place of its launcher for SLURM.

    Hydra selects plugins by name and only from its own packages, so it is registered under the name of the original.
    """
    Plugins.instance().class_name_to_class[SlurmQueueConf._target_] = ArrayLauncher
