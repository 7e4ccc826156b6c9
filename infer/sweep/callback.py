"""Callback that Hydra calls before a run, and before the first job of a sweep.

Hydra's callback for the end of a multirun is not used, since it is not called when a job is killed. The program calls
``exit_code_after`` instead.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, read_write

from infer import cluster, exit_codes
from infer.config import Config
from infer.errors import UsageError, is_interruption
from infer.files import require_writable
from infer.pipeline.settings import settings_of
from infer.ranks import ranks
from infer.sweep.jobs import require_words_kept, without_hydra

if TYPE_CHECKING:
    from infer.sweep.start import StartedSweep

_started_sweep: "StartedSweep | None" = None
"""The sweep that this process has started."""


class SweepCallback(Callback):
    """Hydra callback that checks settings; conf/config.yaml refers to it by name."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Check the settings of a run and its folder, before Hydra creates the folder."""
        exit_codes.leave_on_error(lambda: _check_run(config))

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Check all jobs of a sweep, and record and print what is planned."""
        exit_codes.leave_on_error(lambda: _start(config))


def _check_run(run: DictConfig) -> None:
    require_writable(Path(_check(run).outputs), "outputs")
    require_words_kept(run)
    if ranks.first:  # other ranks write nothing, and their folder does not matter
        require_writable(Path(run.hydra.run.dir), "hydra.run.dir")


def _check(run: DictConfig) -> Config:
    """The checked settings of ``run``, whose ``outputs`` is replaced by the expanded path."""
    settings = settings_of(without_hydra(run.copy()))
    if shaping := [*settings.sweep.shaping, *(["sweep.trials"] if settings.sweep.trials else [])]:
        raise UsageError(f"{' and '.join(shaping)} shape a sweep, and this is a run. Type -m, or leave them out")
    with read_write(run):
        run.outputs = settings.outputs
    return settings


def _start(sweep: DictConfig) -> None:
    global _started_sweep
    from infer.sweep.start import start  # a single run needs none of it

    _started_sweep = start(sweep)
    cluster.enter_launcher(_started_sweep.cluster)


def exit_code_after(code: int) -> int:
    """Exit code of this process, whose jobs ended with ``code``. The table of a sweep is written and printed first."""
    if _started_sweep is None:
        return code
    from infer.sweep.finish import finish

    table_code = exit_codes.exit_code_of(lambda: finish(_started_sweep, interrupted=is_interruption(code)))
    return code or table_code
