"""Hydra's basic sweeper, extended by zipped settings, explicit points, excluded combinations and searches.

This module must be imported after Hydra has found its plugins, since Hydra creates their classes anew then.
"""

from pathlib import Path

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper, BasicSweeperConf
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from omegaconf import OmegaConf

from infer.cluster import wait_for_jobs
from infer.config.cluster import ClusterConfig
from infer.errors import describe
from infer.sweep.axes import combine, sweep_settings
from infer.sweep.jobs import overrides_of
from infer.sweep.search import Search, jobs_at_once
from infer.sweep.space import Space
from infer.words import visible


class Sweeper(BasicSweeper):
    """Sweeper over the combinations of ``infer.sweep.axes``, which are those of Hydra unless settings of ``sweep`` say
    otherwise.

    With ``sweep.trials`` it launches the jobs that a search chooses.
    """

    def split_arguments(self, overrides: list[Override], max_batch_size: int | None) -> list[list[list[str]]]:  # type: ignore[override] # Hydra's is static, and called on the object
        """The words of every job, in batches."""
        assert self.config is not None
        jobs = combine(overrides, sweep_settings(self.config)).jobs
        return list(self.split_overrides_to_chunks(jobs, max_batch_size))

    def sweep(self, arguments: list[str]) -> None:
        """Launch all jobs, or those that a search chooses."""
        assert self.config is not None and self.hydra_context is not None and self.launcher is not None
        settings = sweep_settings(self.config)
        if settings.trials is None:
            super().sweep(arguments)
            return
        folder = Path(self.config.hydra.sweep.dir)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        space = Space.of(overrides_of(self.config, self.hydra_context.config_loader))
        cluster = OmegaConf.to_object(self.config.cluster)
        assert isinstance(cluster, ClusterConfig), "every option of cluster begins with its schema"
        for first, jobs in Search(folder, space, settings.trials, jobs_at_once(cluster), self.config.seed).batches():
            _launch(self.launcher, jobs, first)
            wait_for_jobs(cluster, folder)


def _launch(launcher: Launcher, jobs: list[list[str]], first: int) -> None:
    """Run jobs of a search. One that is killed does not end the search: its record, or the lack of one, shows it."""
    try:
        launcher.launch(jobs, initial_job_idx=first)
    except Exception as error:
        if type(error).__name__ != "UncompletedJobError":  # a class of submitit, which may not be installed
            raise
        print(f"infer: {visible(describe(error))}", flush=True)


def use() -> None:
    """Let Hydra use ``Sweeper`` in place of its basic sweeper.

    Hydra selects plugins by name and only from its own packages, so it is registered under the name of the original.
    """
    Plugins.instance().class_name_to_class[BasicSweeperConf._target_] = Sweeper
