"""Hydra's launcher for SLURM, changed: one array element runs several jobs, and nobody need wait for them."""

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
    """Launcher whose array elements each run ``jobs_per_element`` jobs side by side, one per task of SLURM's, or
    one job by all of its tasks (``cluster.gpus_per_job``).

    With ``cluster.detach`` it returns as soon as the array is queued.
    """

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Submit the jobs, and wait for them unless they are to be left alone; raises what submitit raises."""
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
        """Run the job of this process's rank in ``element``; None where a last element has no job for it."""
        environment = JobEnvironment()
        unmark(self.config.hydra.sweep.dir, environment.job_id)
        place = 0 if self.config.cluster.gpus_per_job > 1 else environment.global_rank
        if place >= len(element):
            return None
        number, overrides = element[place]
        result: JobReturn = super().__call__(list(overrides), "hydra.sweep.dir", number, str(number), singletons)
        return result


def use() -> None:
    """Have Hydra launch with it what it would launch with its own launcher for SLURM.

    Hydra takes a plugin by name, and only of its own packages, so the name stays.
    """
    Plugins.instance().class_name_to_class[SlurmQueueConf._target_] = ArrayLauncher
