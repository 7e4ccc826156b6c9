"""One run, from settings to a record on disk: plan, check, make, report."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from hydra.core.hydra_config import HydraConfig

from infer.cluster import enter_job
from infer.config import Config, Stage
from infer.console import Console
from infer.context import Context
from infer.costs import to_make
from infer.pipeline import announcement, preflight
from infer.pipeline.local_workers import SharedRun, local_workers, num_processes
from infer.pipeline.plan import ArtefactPlan, by_stage, plan_evaluations
from infer.pipeline.prepare import prepare
from infer.pipeline.result import RunResult
from infer.pipeline.run_folder import require_own_folder, write_distilled_folder
from infer.pipeline.scale import expected_costs, measured_costs
from infer.pipeline.tracking import tracking
from infer.progress import Progress
from infer.records.names import LOG
from infer.records.runs import FAILED, sweep_jobs
from infer.records.sweeps import read_sweep
from infer.stages import analyses, evaluate, generate, relabel, report, squeeze
from infer.words import config_flags

_MAKING = {
    Stage.squeeze: squeeze.run,
    Stage.generate: generate.run,
    Stage.relabel: relabel.run,
    Stage.evaluate: evaluate.run,
}


def run(config: Config) -> None:
    """Run the stages that the settings name and leave a record of them in the run's folder."""
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    sweep = read_sweep(folder.parent)
    if sweep is None:
        require_own_folder(folder, Path(config.outputs))
    console = Console(brief=sweep is not None and len(sweep.jobs) > 1)
    console.log_to(folder / LOG)
    if sweep:
        console.headline(f"job {folder.name} begins, of {len(sweep.jobs)}", style="bold")
    result = RunResult(folder, config, _choices(hydra.runtime.choices))
    if sweep:
        result.begin()  # a sweep has a record of each of its jobs
        if reason := _reason_to_skip(config, folder.parent):
            result.skip(reason)
            console.headline(f"job {folder.name} is skipped: {reason}")
            return
    progress = Progress(console)
    with result.recorded(), progress.written_into(folder):
        words = [*config_flags(hydra.runtime.config_sources, hydra.job.config_name), *hydra.overrides.task]
        context = prepare(config, folder, console, words, _own_device(config), sweep.started if sweep else None)
        context.progress = progress
        result.add_environment(context)
        shared = SharedRun(config, folder, context.order, in_sweep=sweep is not None and sweep.compares)
        evaluations = plan_evaluations(context, shared.in_sweep)
        plan = by_stage(evaluations)
        result.add_plan(evaluations, plan)
        preflight.check(context, plan)
        analyses.check(context, evaluations[0], planned=result.planned_signatures)
        processes = num_processes(context, plan)
        if processes > 1:
            context.may_be_made_by_others = frozenset(artefact.signature for artefact in to_make(context, plan))
            context.store.says_waiting = False
            progress.forecast.processes = processes
        announcement.announce(context, evaluations, plan, processes)
        result.begin()
        if config.scale.measures_costs:
            costs = expected_costs(context, plan)
            result.add_costs(costs)
            if costs["unmade"]:
                console.headline(f"nothing is made, the estimate is recorded: {costs['unmade']}")
                return
        with tracking(context, evaluations) as tracked:
            with local_workers.sharing(shared, processes):
                make_all(context, plan, on_stage_done=lambda: result.add_stages(context))
            write_distilled_folder(context, evaluations[0])
            teachers = squeeze.existing_teachers(context, plan[Stage.squeeze])
            result.add_outcome(context, evaluations, teachers)
            if config.scale.measures_costs:
                result.add_costs(costs | {"measured": measured_costs(context, plan)})
            if Stage.report in config.stages:
                progress.stage = Stage.report.value
                result.add_analyses(analyses.run(context, evaluations[0]))
                report.run(context, evaluations, teachers)
                result.add_stages(context)
            tracked.add_result(result.content)
        if sweep:
            announcement.summarise_job(context, result.content)
    if Stage.report in config.stages:  # now that the record says how it ended
        report.write_page(folder, context.store.root)


def make_all(context: Context, plan: ArtefactPlan, on_stage_done: Callable[[], None]) -> None:
    """Make the missing artefacts, stage by stage."""
    for stage, make in _MAKING.items():
        make(context, plan[stage])
        on_stage_done()


def _reason_to_skip(config: Config, sweep: Path) -> str | None:
    """The reason why no further job of ``sweep`` is to start; None where it may."""
    most = config.sweep.stop_on_failure
    failed = sum(job.state == FAILED for job in sweep_jobs(sweep)) if most else 0
    return f"{failed} failed before it (sweep.stop_on_failure={most})" if most and failed >= most else None


def _own_device(config: Config) -> torch.device | None:
    """The GPU that the cluster gives this process for itself, unless the settings name another device."""
    own_gpu = enter_job(config.cluster)
    return own_gpu if config.device in ("auto", "cuda") else None


def _choices(chosen: Mapping[str, str | None]) -> dict[str, str | None]:
    """The chosen option of every config group."""
    return {group: option for group, option in chosen.items() if not group.startswith(("hydra/", "schema"))}
