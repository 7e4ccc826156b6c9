"""One run, from composed settings to a record on disk: the asked-for stages in order, each artefact made once."""

from pathlib import Path

from hydra.core.hydra_config import HydraConfig

from infer import environment, preflight
from infer.config import Baseline, Config, Stage
from infer.config.evaluate import TestSplit
from infer.console import Console, duration
from infer.context import Context
from infer.data import load
from infer.data.holdout import holdout
from infer.formats.export import write_distilled_folder
from infer.result import RunResult
from infer.stages import report, squeeze
from infer.stages.squeeze import Teacher
from infer.store import Artefact, Store
from infer.tracking import tracking
from infer.trials import Trial, baseline_trial, main_trial

_MAKING_STAGES = (Stage.squeeze, Stage.generate, Stage.relabel, Stage.evaluate)


def run(config: Config) -> None:
    """Run the stages that the settings name and leave a record of them in the run's folder."""
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    console = Console()
    console.log_to(folder / "infer.log")
    choices = {group: option for group, option in hydra.runtime.choices.items() if not group.startswith("hydra/")}
    result = RunResult(folder, config, choices)
    with result.recorded():
        context = prepare(config, folder, console, list(hydra.overrides.task))
        result.add_environment(context)
        trials = plan_trials(context)
        plan = by_stage(trials)
        preflight.check(context, plan)
        report.announce(context, trials, plan)
        with tracking(config, folder) as tracker:
            make_all(context, plan)
            write_distilled_folder(context, trials[0].material.images, trials[0].material.labels)
            teachers = made_teachers(context, plan)
            result.add_outcome(context, trials, teachers)
            if Stage.report in config.stages:
                report.run(context, trials, teachers)
            tracker.log_result(result.content, trials)


def prepare(config: Config, folder: Path, console: Console, overrides: list[str]) -> Context:
    """Device, data and store for ``config``."""
    device = environment.pick_device(config.device)
    outputs = Path(config.outputs)
    threads = environment.cpu_threads()
    data = load(config.dataset, cache_dir=outputs / ".cache", threads=threads)
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


def plan_trials(context: Context) -> list[Trial]:
    """The distilled set first, then the baselines; nothing is made yet."""
    main = main_trial(context)
    return [main, *(baseline_trial(context, main, Baseline(name)) for name in context.config.baselines)]


def by_stage(trials: list[Trial]) -> dict[Stage, list[Artefact]]:
    """Every artefact that the trials rest on, parents before children, by the stage that makes it."""
    found: dict[str, Artefact] = {}
    for trial in trials:
        for students in trial.students.values():
            for student in students:
                _collect(student, found)
    return {stage: [a for a in found.values() if a.stage is stage] for stage in _MAKING_STAGES}


def make_all(context: Context, plan: dict[Stage, list[Artefact]]) -> None:
    """Make, stage by stage, what is not there yet."""
    for stage, artefacts in plan.items():
        if stage in context.config.stages and artefacts:
            context.console.say(stage.value, style="bold")
            for artefact in artefacts:
                context.obtain(artefact)
            account = context.account[stage]
            context.console.say(f"  {account.made} made, {account.reused} reused, {duration(account.seconds)}")
        if stage is Stage.squeeze:
            squeeze.check_teachers(context, made_teachers(context, plan))


def made_teachers(context: Context, plan: dict[Stage, list[Artefact]]) -> list[Teacher]:
    """The teachers of the plan that are there."""
    return [a for a in plan[Stage.squeeze] if isinstance(a, Teacher) and context.store.exists(a)]


def _collect(artefact: Artefact, found: dict[str, Artefact]) -> None:
    if artefact.signature not in found:
        for parent in artefact.parents.values():
            _collect(parent, found)
        found[artefact.signature] = artefact
