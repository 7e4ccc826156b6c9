"""Begin and end of a sweep: Hydra calls in before its first job, the program after the last.

Hydra's own end of a multirun cannot be used: it is not reached when a job is killed.
"""

import shutil
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from infer import cluster, exit_codes
from infer.config import Config
from infer.config.checks import require, require_at_least
from infer.config.cluster import ClusterConfig, SlurmCluster
from infer.console import Console
from infer.errors import UsageError, describe, is_interruption
from infer.explanations import FOREIGN, explain
from infer.files import require_writable
from infer.pipeline.settings import settings_of
from infer.ranks import ranks
from infer.records.names import OVERRIDES, SNAPSHOT
from infer.records.sweeps import PlannedJob, SweepRecord, read_sweep
from infer.sweep.axes import Combinations, sweep_settings
from infer.sweep.jobs import job_folder, jobs_of, overrides_of
from infer.tables import count
from infer.words import expanded, hydra_quoted, shell_line


@dataclass(frozen=True)
class StartedSweep:
    """The sweep that this process has begun."""

    folder: Path
    record: SweepRecord
    cluster: ClusterConfig


_MOST_NAMED = 8
started_sweep: StartedSweep | None = None


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
    _require_words_kept(run)
    if ranks.first:  # the others write nothing, wherever they were started
        require_writable(Path(run.hydra.run.dir), "hydra.run.dir")


def _require_words_kept(composed: DictConfig) -> None:
    """Raise UsageError where Hydra is to write a run's words to another place than they are read from."""
    given, own = composed.hydra.output_subdir, Path(OVERRIDES).parent.name
    require(given in (None, own), "hydra.output_subdir", given, f"it is {own}, or null for none. Leave it out")


def _check(run: DictConfig) -> Config:
    """The checked settings of ``run``, in which ``outputs`` is then as they have it: without ``~``."""
    settings = settings_of(_without_hydra(run.copy()))
    if shaping := [*settings.sweep.shaping, *(["sweep.trials"] if settings.sweep.trials else [])]:
        raise UsageError(f"{' and '.join(shaping)} shape a sweep, and this is a run. Type -m, or leave it away")
    with read_write(run):
        run.outputs = settings.outputs
    return settings


def _without_hydra(composed: DictConfig) -> DictConfig:
    with read_write(composed), open_dict(composed):
        del composed["hydra"]
    return composed


def _start(sweep: DictConfig) -> None:
    global started_sweep
    if ranks.world > 1:
        raise UsageError(
            f"a sweep was started by {ranks.world} ranks, which share the work of one run. Leave out torchrun, and "
            "type cluster=slurm cluster.gpus_per_job=<ranks> for jobs of several ranks each"
        )
    loader = GlobalHydra.instance().config_loader()
    from infer.sweep import aftermath, search, sweeper  # a single run needs none of them

    sweeper.use()
    settings = sweep_settings(sweep)
    space = search.Space.of(overrides_of(sweep, loader)) if settings.trials else None
    combinations = Combinations(space.in_words, space.corners(), 0) if space else jobs_of(sweep, loader)
    swept, overrides = combinations.swept, combinations.jobs
    sweep.outputs = expanded(sweep.outputs)
    resumed = search.folder_of(settings.resume, Path(sweep.outputs)) if settings.resume else None
    batch: int | None = sweep.hydra.sweeper.get("max_batch_size")
    require_at_least(1, "hydra.sweeper.max_batch_size", batch)
    folder = _pin_folders(sweep, list(swept), resumed)
    configs = _configs(sweep, loader, overrides, swept)
    _require_words_kept(sweep)
    for outputs in {sweep.outputs, *(config.outputs for config in configs)}:
        require_writable(Path(outputs), "outputs")
    with read_write(sweep), open_dict(sweep):
        sweep.hydra.launcher.update(
            cluster.launcher_settings(configs[0].cluster, folder / SNAPSHOT, aftermath.command(configs[0], folder))
        )
    record = SweepRecord(
        swept=swept,
        jobs=[PlannedJob(n, job_folder(n, words, swept), words) for n, words in enumerate(overrides) if not space],
        cluster=configs[0].cluster.name,
    )
    if space:
        search.check(configs[0].sweep, configs[0].cluster, configs[0].evaluate.split.value, space)
        record = search.record_of(folder, record)
    launcher: dict[str, Any] = OmegaConf.to_container(sweep.hydra.launcher, resolve=True)  # type: ignore[assignment] # a mapping
    cluster.prepare(configs[0].cluster, launcher, folder, len(configs))
    console = Console()
    jobs = f"{settings.trials} jobs that a search chooses" if space else count(record.jobs, "job")
    console.say(_in_words(record, jobs, combinations.num_left_out), style="bold")
    if configs[0].sweep.equal_steps:
        configs = _with_equal_steps(sweep, configs, record.compares)
        console.say(f"equal steps: the students of every job make {configs[0].sweep.student_steps} updates")
    if not space:
        _announce(console, configs, record.compares)
    require_writable(folder, "hydra.sweep.dir")
    if space:
        search.begin(folder, space, configs[0].seed)
    if resumed:
        _make_room(resumed)
    record = replace(record, snapshot=cluster.freeze(configs[0].cluster, folder / SNAPSHOT, loader))
    record.write(folder)
    started_sweep = StartedSweep(folder, record, configs[0].cluster)


def exit_code_after(code: int) -> int:
    """The exit code of the process whose jobs ended with ``code``; a sweep's table is written and printed first."""
    if started_sweep is None:
        return code
    table_code = exit_codes.exit_code_of(lambda: _finish(started_sweep, interrupted=is_interruption(code)))
    return code or table_code


def _finish(sweep: StartedSweep, interrupted: bool) -> int:
    """Wait for jobs that may still run, unless a person has had enough; 1 when not all are done."""
    if isinstance(sweep.cluster, SlurmCluster) and sweep.cluster.detach:
        return _leave(sweep)
    from infer.reports.sweep import report_sweep
    from infer.tables import print_report

    if not interrupted:
        cluster.wait_for_jobs(sweep.cluster, sweep.folder)
        (read_sweep(sweep.folder) or sweep.record).write_ended(sweep.folder)
    elif sweep.cluster.name == "slurm":
        Console().say("The jobs stay in SLURM's queue and go on; `squeue --me` lists them, `scancel` ends them.")
    written = report_sweep(sweep.folder)
    print_report(written, "text")
    return written.code


def _leave(sweep: StartedSweep) -> int:
    """Say how to follow jobs that nobody waits for."""
    name = shell_line([sweep.folder.name])
    Console().say(
        f"{count(sweep.record.jobs, 'job')} queued on SLURM, the last to end writes the table and report.html in "
        f"{sweep.folder}. They are followed by infer watch {name}; infer report {name} writes what there is"
    )
    return 0


def _make_room(resumed: Path) -> None:
    """Take the snapshot of a search away, to which no job goes back any more."""
    if not (resumed / SNAPSHOT).exists():
        return
    if not cluster.have_all_ended(resumed):
        raise UsageError(f"jobs of {resumed} are in SLURM's queue still. Wait until they have ended, or scancel them")
    shutil.rmtree(resumed / SNAPSHOT)


def _pin_folders(sweep: DictConfig, swept: list[str], resumed: Path | None) -> Path:
    """Give all jobs one parent, whatever settings differ between them, and folders that say what varies.

    The parent is that of the search to go on with, if there is one.
    """
    names = "-".join(key.rpartition(".")[2] for key in swept)
    folder = resumed or Path(f"{sweep.hydra.sweep.dir}-{names}" if names else sweep.hydra.sweep.dir)
    subfolder = f"${{job_folder:${{hydra.job.num}},${{hydra.overrides.task}},[{','.join(swept)}]}}"
    with read_write(sweep), open_dict(sweep):
        sweep.hydra.sweep.dir = str(folder)
        pinned = [f"hydra.sweep.dir={hydra_quoted(str(folder))}", f"hydra.sweep.subdir='{subfolder}'"]
        sweep.hydra.overrides.hydra += pinned
    return folder


def _configs(
    sweep: DictConfig, loader: ConfigLoader, overrides: list[list[str]], swept: Collection[str]
) -> list[Config]:
    """The checked settings of every job; raises UsageError that names those with a wrong one, and says the first."""
    configs, refused = [], {}
    for number, words in enumerate(overrides):
        try:
            configs.append(settings_of(_without_hydra(loader.load_sweep_config(sweep, words))))
        except (UsageError, *FOREIGN) as error:
            refused[job_folder(number, words, swept)] = explain(error) if isinstance(error, FOREIGN) else str(error)
    if refused:
        first, *_ = refused.values()
        more = f" and {len(refused) - _MOST_NAMED} more" if len(refused) > _MOST_NAMED else ""
        named = ", ".join(list(refused)[:_MOST_NAMED])
        raise UsageError(f"job{'s' * (len(refused) > 1)} {named}{more}: {first}")
    return configs


def _in_words(record: SweepRecord, jobs: str, num_left_out: int) -> str:
    axes = " and ".join(f"{key} ({', '.join(values)})" for key, values in record.swept.items())
    jobs += f", and {num_left_out} that sweep.exclude leaves out" if num_left_out else ""
    return f"sweep over {axes}: {jobs}" if axes else f"a sweep of {jobs}"


def _with_equal_steps(sweep: DictConfig, configs: list[Config], compares: bool) -> list[Config]:
    """The settings with as many student steps as the longest job has, which all jobs are then told."""
    from infer.sweep.planning import plan_sweep  # imports torch

    steps = plan_sweep(configs, compares).student_steps
    with read_write(sweep), open_dict(sweep):
        sweep.hydra.overrides.hydra += [f"sweep.student_steps={steps}"]
    given = replace(configs[0].sweep, student_steps=steps)
    return [replace(config, sweep=given) for config in configs]


def _announce(console: Console, configs: list[Config], compares: bool) -> None:
    """Say what there is to make and what is there already."""
    from infer.sweep.planning import plan_sweep  # imports torch

    try:
        plan = plan_sweep(configs, compares)
    except UsageError as error:
        if configs[0].cluster.name != "slurm":
            raise
        console.say(f"what there is to make cannot be counted on this machine: {describe(error)}")
    else:
        plan.announce(console)
