"""One run, from composed settings to a record on disk: the asked-for stages in order, each artefact made once."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig

from infer import environment, preflight
from infer.cluster import enter_job
from infer.config import Config, Stage
from infer.config.evaluate import TestSplit
from infer.console import Console, duration
from infer.context import Context
from infer.data import load
from infer.data.base import ImageData
from infer.data.holdout import holdout
from infer.formats.export import write_distilled_folder
from infer.records.names import LOG
from infer.records.sweeps import read_sweep
from infer.result import RunResult
from infer.stages import report, squeeze
from infer.stages.squeeze import Teacher
from infer.store import Artefact, Store
from infer.tracking import tracking
from infer.trials import Trial, baseline_trials, main_trial

_in_memory: dict[str, ImageData] = {}
_MAKING_STAGES = (Stage.squeeze, Stage.generate, Stage.relabel, Stage.evaluate)


def run(config: Config) -> None:
    """Run the stages that the settings name and leave a record of them in the run's folder."""
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    sweep = read_sweep(folder.parent)
    console = Console(brief=sweep is not None and len(sweep.jobs) > 1)
    console.log_to(folder / LOG)
    if sweep:
        console.headline(f"job {folder.name} begins, of {len(sweep.jobs)}", style="bold")
    result = RunResult(folder, config, _choices(hydra.runtime.choices))
    with result.recorded():
        context = prepare(config, folder, console, list(hydra.overrides.task), _own_device(config))
        if sweep:
            context.started = sweep.started
        result.add_environment(context)
        trials = plan_trials(context, in_sweep=sweep is not None and sweep.compares)
        plan = by_stage(trials)
        result.add_plan(trials[0], plan)
        preflight.check(context, plan)
        report.announce(context, trials, plan)
        with tracking(config, folder) as tracker:
            make_all(context, plan, on_stage_done=lambda: result.add_stages(context))
            write_distilled_folder(context, trials[0])
            teachers = made_teachers(context, plan)
            result.add_outcome(context, trials, teachers)
            if Stage.report in config.stages:
                report.run(context, trials, teachers)
                result.add_stages(context)
            tracker.log_result(result.content, trials)
        if sweep:
            report.summarise_job(context, result.content)


def _own_device(config: Config) -> torch.device | None:
    """The GPU that the cluster gives this process for itself, unless the settings name another device."""
    own_gpu = enter_job(config.cluster)
    return own_gpu if config.device in ("auto", "cuda") else None


def prepare(
    config: Config, folder: Path, console: Console, overrides: list[str], device: torch.device | None = None
) -> Context:
    """Device (that of the settings, unless given), data and store for ``config``."""
    device = device or environment.pick_device(config.device)
    outputs = Path(config.outputs)
    environment.make_repeatable()
    data = _loaded_once(config.dataset, outputs / ".cache")
    if config.evaluate.split is TestSplit.val:
        data = holdout(data, config.evaluate.val_fraction, config.seed)
    for note in data.notes:
        console.say(f"{data.name}: {note}")
    return Context(
        config=config,
        data=data,
        store=Store(outputs, lambda: environment.describe(device)),
        device=device,
        precision=environment.pick_precision(config.precision, device),
        console=console,
        run_folder=folder,
        overrides=overrides,
    )


def _loaded_once(dataset: Any, cache_dir: Path) -> ImageData:
    """The data set; the jobs of a sweep that run in one process share it."""
    key = repr(dataset)
    if key not in _in_memory:
        _in_memory.clear()  # two large data sets do not fit
        _in_memory[key] = load(dataset, cache_dir=cache_dir, threads=torch.get_num_threads())
    return _in_memory[key]


def plan_trials(context: Context, in_sweep: bool) -> list[Trial]:
    """The distilled set first, then the baselines; nothing is made yet."""
    main = main_trial(context)
    return [main, *baseline_trials(context, main, context.config.baselines_of(in_sweep))]


def by_stage(trials: list[Trial]) -> dict[Stage, list[Artefact]]:
    """Every artefact that the trials rest on, parents before children, by the stage that makes it."""
    found: dict[str, Artefact] = {}
    for trial in trials:
        for students in trial.students.values():
            for student in students:
                _collect(student, found)
    return {stage: [a for a in found.values() if a.stage is stage] for stage in _MAKING_STAGES}


def make_all(context: Context, plan: dict[Stage, list[Artefact]], on_stage_done: Callable[[], None]) -> None:
    """Make, stage by stage, what is not there yet."""
    for stage, artefacts in plan.items():
        if stage in context.config.stages and artefacts:
            context.console.say(stage.value, style="bold")
            with context.console.progress(f"{stage.value}, all units", len(artefacts)) as ticker:
                _make_in_turn(context, artefacts, ticker.advance_to)
            on_stage_done()
            account = context.account[stage]
            context.console.say(f"  {account.made} made, {account.reused} reused, {duration(account.seconds)}")
        if stage is Stage.squeeze:
            squeeze.check_teachers(context, made_teachers(context, plan))


def _make_in_turn(context: Context, artefacts: list[Artefact], on_progress: Callable[[int], None]) -> None:
    """Obtain ``artefacts``, parents first; what other processes are making at the moment comes last, so that several
    processes of the same settings share the work."""
    left, done = artefacts, 0
    while left:
        busy = []
        for artefact in left:
            if context.obtained_without_waiting(artefact):
                done += 1
                on_progress(done)
            else:
                busy.append(artefact)
        if len(busy) == len(left):
            context.obtain(busy[0])  # waits for its maker, or takes over from one that died
        left = busy


def _choices(chosen: Mapping[str, str | None]) -> dict[str, str | None]:
    """The option taken of every group that a person can name."""
    return {group: option for group, option in chosen.items() if not group.startswith(("hydra/", "schema"))}


def made_teachers(context: Context, plan: dict[Stage, list[Artefact]]) -> list[Teacher]:
    """The teachers of the plan that are there."""
    return [a for a in plan[Stage.squeeze] if isinstance(a, Teacher) and context.store.exists(a)]


def _collect(artefact: Artefact, found: dict[str, Artefact]) -> None:
    if artefact.signature not in found:
        for parent in artefact.parents.values():
            _collect(parent, found)
        found[artefact.signature] = artefact
