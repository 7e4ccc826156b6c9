"""A run, from its settings to its record on the disk: plan, check, make, report."""

from collections.abc import Callable, Mapping
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from infer.cluster import enter_ranks, was_started_before
from infer.config import Config, Stage, as_plain
from infer.config.cluster import SlurmCluster
from infer.console import Console
from infer.context import Context
from infer.errors import UsageError, describe
from infer.evaluation.comparison import Evaluation
from infer.files import canonical_json
from infer.pipeline import announcement, preflight
from infer.pipeline.follow import dismiss, follow, lead
from infer.pipeline.local_workers import allot_processes, local_workers
from infer.pipeline.plan import ArtefactPlan, by_stage, plan_evaluations
from infer.pipeline.prepare import own_device, prepare
from infer.pipeline.pruning import Pruned, pruning
from infer.pipeline.result import RunResult
from infer.pipeline.run_folder import require_own_folder, write_distilled_folder
from infer.pipeline.scale import expected_costs, measured_costs
from infer.pipeline.tracking import tracking
from infer.progress import Progress
from infer.ranks import ranks
from infer.ranks.agreement import require_same
from infer.records.folders import sweep_jobs
from infer.records.names import LOG
from infer.records.run import DONE, FAILED, Run
from infer.records.sweeps import read_sweep
from infer.stages import analyses, evaluate, generate, relabel, report, squeeze
from infer.words import config_flags, visible

_MAKING = {
    Stage.squeeze: squeeze.run,
    Stage.generate: generate.run,
    Stage.relabel: relabel.run,
    Stage.evaluate: evaluate.run,
}


def run(config: Config) -> None:
    """Run the stages that the settings name and write a record into the run's folder.

    With several ranks, rank 0 does this, and the other ranks take part in its work.
    """
    enter_ranks(config.cluster)
    if not ranks.first:
        follow(config)
        return
    try:
        _run(config)
    except Pruned as reason:
        Console().headline(f"pruned: {reason}")
    dismiss()


def _run(config: Config) -> None:
    """Prepare the folder and the record of a run, and do its work."""
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    sweep = read_sweep(folder.parent)
    if sweep is None:
        require_own_folder(folder, Path(config.outputs))
    console = Console(brief=sweep is not None and (len(sweep.jobs) > 1 or config.sweep.trials is not None))
    console.log_to(folder / LOG)
    if sweep and was_started_before() and Run(folder.name, folder).state == DONE:
        return  # its element of the array was queued again because of another job
    result = RunResult(folder, config, _choices(hydra.runtime.choices))
    if sweep and not _begins(config, folder, console, result, config.sweep.trials or len(sweep.jobs)):
        return
    progress = Progress(console)
    with result.recorded(), progress.written_into(folder):
        require_same(canonical_json(as_plain(config)))
        words = [*config_flags(hydra.runtime.config_sources, hydra.job.config_name), *hydra.overrides.task]
        context = prepare(config, folder, console, words, own_device(config), sweep.started if sweep else None)
        context.progress = progress
        was_made = _work(context, result)
        if was_made and sweep:
            announcement.summarise_job(context, result.content)
    if was_made and Stage.report in config.stages:  # after the end of the run was recorded
        report.write_page(folder, context.store.root)


def _work(context: Context, result: RunResult) -> bool:
    """Plan, check, make and report; False where nothing is made because the expected costs are too high."""
    evaluations, plan = _planned(context, result)
    processes = allot_processes(context, plan)
    announcement.announce(context, evaluations, plan, processes)
    result.begin()
    lead(context, evaluations)
    if context.config.sweep.trials and context.config.sweep.prune:
        leading = evaluations[0].all_students[0]
        context.on_epoch = pruning(context.run_folder.parent, HydraConfig.get().job.num, leading)
    costs = expected_costs(context, plan) if context.config.scale.measures_costs else {}
    if costs:
        result.add_costs(costs)
    if costs.get("unmade"):
        context.console.headline(f"nothing is made, the estimate is recorded: {costs['unmade']}")
        return False
    with tracking(context, evaluations) as tracked:
        with local_workers.sharing(context, processes):
            make_all(context, plan, on_stage_done=lambda: result.add_stages(context))
        if costs:
            result.add_costs(costs | {"measured": measured_costs(context, plan)})
        _report(context, result, evaluations, plan)
        tracked.add_result(result.content)
    return True


def _begins(config: Config, folder: Path, console: Console, result: RunResult, num_jobs: int) -> bool:
    """Record that a job of a sweep begins, and return True, or that it is skipped, and return False."""
    console.headline(f"job {folder.name} of {num_jobs} begins", style="bold")
    result.begin()  # every job of a sweep has a record, also where it is refused
    if reason := _reason_to_skip(config, folder.parent):
        result.skip(reason)
        console.headline(f"job {folder.name} is skipped: {reason}")
    return not reason


def _planned(context: Context, result: RunResult) -> tuple[list[Evaluation], ArtefactPlan]:
    """The evaluations and their artefacts, recorded, and checked as far as possible before the work."""
    result.add_environment(context)
    evaluations = plan_evaluations(context, in_sweep=context.in_comparing_sweep)
    plan = by_stage(evaluations)
    result.add_plan(evaluations, plan)
    preflight.check(context, plan)
    analyses.check(context, evaluations[0], planned=result.planned_signatures)
    return evaluations, plan


def _report(context: Context, result: RunResult, evaluations: list[Evaluation], plan: ArtefactPlan) -> None:
    """Write the run's copy of the set, the scores and, where the stage report was requested, analyses and pictures."""
    write_distilled_folder(context, evaluations[0])
    teachers = squeeze.existing_teachers(context, plan[Stage.squeeze])
    result.add_outcome(context, evaluations, teachers)
    if Stage.report in context.config.stages:
        context.progress.stage = Stage.report.value
        result.add_analyses(analyses.run(context, evaluations[0]))
        report.run(context, evaluations, teachers)
        result.add_stages(context)


def with_retries(config: Config, work: Callable[[Config], None]) -> None:
    """Do ``work``; where it fails in a job of a sweep, repeat it up to ``sweep.retry`` times.

    A UsageError is not repeated. On SLURM a job is queued again instead (infer/sweep/aftermath.py).
    """
    is_of_sweep = HydraConfig.get().mode is RunMode.MULTIRUN and not isinstance(config.cluster, SlurmCluster)
    for left in reversed(range(1 + config.sweep.retry * is_of_sweep)):
        try:
            return work(config)
        except UsageError:
            raise
        except Exception as error:
            if not left:
                raise
            print(f"infer: {visible(describe(error))}. The job is started again", flush=True)


def make_all(context: Context, plan: ArtefactPlan, on_stage_done: Callable[[], None]) -> None:
    """Make the missing artefacts, stage by stage."""
    for stage, make in _MAKING.items():
        make(context, plan[stage])
        on_stage_done()


def _reason_to_skip(config: Config, sweep: Path) -> str | None:
    """Reason why no further job of ``sweep`` may start; None where it may."""
    most = config.sweep.stop_on_failure
    failed = sum(job.state == FAILED for job in sweep_jobs(sweep)) if most else 0
    return f"{failed} failed before it (sweep.stop_on_failure={most})" if most and failed >= most else None


def _choices(chosen: Mapping[str, str | None]) -> dict[str, str | None]:
    """The chosen option of every config group, without those of Hydra and of the schemas."""
    return {group: option for group, option in chosen.items() if not group.startswith(("hydra/", "schema"))}
