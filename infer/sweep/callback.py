"""Hydra's callback: it calls in before a run, and before the first job of a sweep.

Hydra's own end of a multirun cannot be used: it is not reached when a job is killed. The program calls instead.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, read_write

from infer import exit_codes
from infer.config import Config
from infer.errors import UsageError, is_interruption
from infer.files import require_writable
from infer.pipeline.settings import settings_of
from infer.ranks import ranks
from infer.sweep.jobs import require_words_kept, without_hydra

if TYPE_CHECKING:
    from infer.sweep.start import StartedSweep

_started_sweep: "StartedSweep | None" = None
"""The sweep that this process has begun."""


class SweepCallback(Callback):
    """Named by conf/config.yaml."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Check the settings of a run and its folder, before Hydra makes that."""
        exit_codes.leave_on_error(lambda: _check_run(config))

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Check all jobs, write down what is planned, and say so."""
        exit_codes.leave_on_error(lambda: _start(config))


def _check_run(run: DictConfig) -> None:
    require_writable(Path(_check(run).outputs), "outputs")
    require_words_kept(run)
    if ranks.first:  # the others write nothing, wherever they were started
        require_writable(Path(run.hydra.run.dir), "hydra.run.dir")


def _check(run: DictConfig) -> Config:
    """The checked settings of ``run``, in which ``outputs`` is then as they have it: without ``~``."""
    settings = settings_of(without_hydra(run.copy()))
    if shaping := [*settings.sweep.shaping, *(["sweep.trials"] if settings.sweep.trials else [])]:
        raise UsageError(f"{' and '.join(shaping)} shape a sweep, and this is a run. Type -m, or leave it away")
    with read_write(run):
        run.outputs = settings.outputs
    return settings


def _start(sweep: DictConfig) -> None:
    global _started_sweep
    from infer.sweep.start import start  # a single run needs none of it

    _started_sweep = start(sweep)


def exit_code_after(code: int) -> int:
    """The exit code of the process whose jobs ended with ``code``; a sweep's table is written and printed first."""
    if _started_sweep is None:
        return code
    from infer.sweep.finish import finish

    table_code = exit_codes.exit_code_of(lambda: finish(_started_sweep, interrupted=is_interruption(code)))
    return code or table_code
