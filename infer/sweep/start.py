"""Start of a sweep: all jobs are checked before the first one starts, and the plan is recorded and printed."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from infer import cluster
from infer.config import Config
from infer.config.checks import require_at_least
from infer.config.cluster import ClusterConfig
from infer.console import Console
from infer.errors import UsageError, describe
from infer.explanations import FOREIGN, explain
from infer.files import require_writable
from infer.pipeline.settings import settings_of
from infer.ranks import ranks
from infer.records.names import SNAPSHOT
from infer.records.sweeps import PlannedJob, SweepRecord
from infer.sweep import aftermath, search, sweeper
from infer.sweep.axes import Combinations, sweep_settings
from infer.sweep.jobs import job_folder, jobs_of, overrides_of, require_words_kept, without_hydra
from infer.sweep.space import Space
from infer.tables import count
from infer.words import expanded, hydra_quoted, some

_MOST_NAMED = 8


@dataclass(frozen=True)
class StartedSweep:
    """A sweep that has been checked and recorded, so that its jobs may run."""

    folder: Path
    record: SweepRecord
    cluster: ClusterConfig


def start(sweep: DictConfig) -> StartedSweep:
    """Check all jobs of the composed ``sweep``, and record and print the plan.

    ``sweep`` is changed to the settings with which Hydra launches the jobs. Raises UsageError for settings that would
    fail in a job.
    """
    _refuse_ranks()
    loader = GlobalHydra.instance().config_loader()
    sweeper.use()
    settings = sweep_settings(sweep)
    space = Space.of(overrides_of(sweep, loader)) if settings.trials else None
    combinations = Combinations(space.in_words, space.corners(), 0) if space else jobs_of(sweep, loader)
    sweep.outputs = expanded(sweep.outputs)
    resumed = search.folder_of(settings.resume, Path(sweep.outputs)) if settings.resume else None
    require_at_least(1, "hydra.sweeper.max_batch_size", sweep.hydra.sweeper.get("max_batch_size"))
    folder = _pin_folders(sweep, list(combinations.swept), resumed)
    configs = _configs(sweep, loader, combinations)
    require_words_kept(sweep)
    for outputs in {sweep.outputs, *(config.outputs for config in configs)}:
        require_writable(Path(outputs), "outputs")
    launcher = _updated_launcher(sweep, configs[0], folder)
    record = _record(folder, configs[0], combinations, space)
    cluster.prepare(configs[0].cluster, launcher, len(configs))
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
    return StartedSweep(folder, record, configs[0].cluster)


def _refuse_ranks() -> None:
    if ranks.world > 1:
        raise UsageError(
            f"a sweep was started by {ranks.world} ranks, which share the work of one run. Leave out torchrun, and "
            "type cluster=slurm cluster.gpus_per_job=<ranks> for jobs of several ranks each"
        )


def _pin_folders(sweep: DictConfig, swept: list[str], resumed: Path | None) -> Path:
    """Set the same parent folder for all jobs, and names of folders that contain the swept settings.

    The parent is the folder of the search that is resumed, if there is one.
    """
    names = "-".join(key.rpartition(".")[2] for key in swept)
    folder = resumed or Path(f"{sweep.hydra.sweep.dir}-{names}" if names else sweep.hydra.sweep.dir)
    subfolder = f"${{job_folder:${{hydra.job.num}},${{hydra.overrides.task}},[{','.join(swept)}]}}"
    with read_write(sweep), open_dict(sweep):
        sweep.hydra.sweep.dir = str(folder)
        pinned = [f"hydra.sweep.dir={hydra_quoted(str(folder))}", f"hydra.sweep.subdir='{subfolder}'"]
        sweep.hydra.overrides.hydra += pinned
    return folder


def _configs(sweep: DictConfig, loader: ConfigLoader, combinations: Combinations) -> list[Config]:
    """The checked settings of every job. Raises UsageError with the names of wrong jobs and the first message."""
    configs, refused = [], {}
    for number, words in enumerate(combinations.jobs):
        try:
            configs.append(settings_of(without_hydra(loader.load_sweep_config(sweep, words))))
        except (UsageError, *FOREIGN) as error:
            message = explain(error) if isinstance(error, FOREIGN) else str(error)
            refused[job_folder(number, words, combinations.swept)] = message
    if refused:
        first, *_ = refused.values()
        raise UsageError(f"job{'s' * (len(refused) > 1)} {some(list(refused), _MOST_NAMED)}: {first}")
    return configs


def _updated_launcher(sweep: DictConfig, config: Config, folder: Path) -> dict[str, Any]:
    """The settings of Hydra's launcher, after those that follow from ``config`` are written into ``sweep``."""
    with read_write(sweep), open_dict(sweep):
        sweep.hydra.launcher.update(
            cluster.launcher_settings(config.cluster, folder / SNAPSHOT, aftermath.command(config, folder))
        )
    launcher: dict[str, Any] = OmegaConf.to_container(sweep.hydra.launcher, resolve=True)  # type: ignore[assignment] # a mapping
    return launcher


def _record(folder: Path, config: Config, combinations: Combinations, space: Space | None) -> SweepRecord:
    """The record of the sweep. That of a search has no jobs yet, except those of the search that is resumed."""
    swept, name = combinations.swept, config.cluster.name
    if space is None:
        planned = [PlannedJob(n, job_folder(n, words, swept), words) for n, words in enumerate(combinations.jobs)]
        return SweepRecord(swept, planned, name)
    search.check(config.sweep, config.cluster, config.evaluate.split.value, space)
    return search.record_of(folder, SweepRecord(swept, [], name))


def _in_words(record: SweepRecord, jobs: str, num_left_out: int) -> str:
    axes = " and ".join(f"{key} ({', '.join(values)})" for key, values in record.swept.items())
    jobs += f", and {num_left_out} that sweep.exclude leaves out" if num_left_out else ""
    return f"sweep over {axes}: {jobs}" if axes else f"a sweep of {jobs}"


def _with_equal_steps(sweep: DictConfig, configs: list[Config], compares: bool) -> list[Config]:
    """``configs`` with the number of student steps of the longest job, which is also set in ``sweep`` for all jobs."""
    from infer.sweep.planning import plan_sweep  # imports torch

    steps = plan_sweep(configs, compares).student_steps
    with read_write(sweep), open_dict(sweep):
        sweep.hydra.overrides.hydra += [f"sweep.student_steps={steps}"]
    given = replace(configs[0].sweep, student_steps=steps)
    return [replace(config, sweep=given) for config in configs]


def _announce(console: Console, configs: list[Config], compares: bool) -> None:
    """Print the number of artefacts to make, and of those that exist."""
    from infer.sweep.planning import plan_sweep  # imports torch

    try:
        plan = plan_sweep(configs, compares)
    except UsageError as error:
        if configs[0].cluster.name != "slurm":
            raise
        console.say(f"what there is to make cannot be counted on this machine: {describe(error)}")
    else:
        plan.announce(console)


def _make_room(resumed: Path) -> None:
    """Remove the snapshot of a search that is resumed. Raises UsageError where jobs may still use it."""
    if not (resumed / SNAPSHOT).exists():
        return
    if not cluster.have_all_ended(resumed):
        raise UsageError(f"jobs of {resumed} are still in SLURM's queue. Wait until they have ended, or scancel them")
    shutil.rmtree(resumed / SNAPSHOT)
