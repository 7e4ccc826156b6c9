"""``infer estimate``: the time, disk space and memory that a run would take, without running it."""

import argparse
from pathlib import Path

from infer.commands.launch_words import outputs_words
from infer.commands.parsing import Commands, add_command
from infer.config import Stage
from infer.console import Console
from infer.errors import UsageError
from infer.tables import Report


def add_to(commands: Commands) -> None:
    """Add ``estimate`` to ``commands``."""
    about = "estimate time, disk and memory of a run without running it"
    parser = add_command(commands, "estimate", about, run, ("json", "csv", "md"))
    parser.add_argument(
        "settings", metavar="KEY=VALUE", nargs="*", default=[], help="words of launch.py, e.g. dataset=cifar10 ipc=50"
    )
    parser.add_argument(
        "--on", metavar="DEVICE", help="estimate for this GPU from its data sheet: a100, h100, h200 or rtx4090"
    )
    parser.add_argument(
        "--devices", metavar="N", type=int, default=1, help="with --on: number of GPUs that share the work (default: 1)"
    )


def run(options: argparse.Namespace) -> Report:
    """Estimate the costs of what ``python launch.py <settings>`` still has to make, here or on other devices."""
    from infer.commands.composition import settings_of_words  # Hydra takes half a second

    words = [*options.settings, *outputs_words(options.outputs)]
    if options.on is None and options.devices != 1:
        raise UsageError(f"--devices {options.devices} applies to the DEVICE of --on. Type --on DEVICE as well")
    _, config = settings_of_words(words, of_one_run=True)
    from infer.costs import as_data, estimate, line_of, table_of  # imports torch, after settings are checked
    from infer.costs.roofline import several_of
    from infer.pipeline.plan import by_stage, plan_evaluations, with_report
    from infer.pipeline.preflight import check_growth
    from infer.pipeline.prepare import prepare

    elsewhere = None if options.on is None else several_of(options.on, options.devices)
    context = prepare(config, Path(config.outputs), Console(brief=True), words)
    evaluations = plan_evaluations(context, in_sweep=False)
    artefacts = by_stage(evaluations)
    check_growth(context, artefacts[Stage.squeeze])
    plan = with_report(context, evaluations, artefacts)
    cost = estimate(context, plan, elsewhere=elsewhere)
    return Report(
        data=as_data(cost),
        lines=[line_of(cost)],
        sections=[table_of(cost)] if cost.stages else [],
        closing=[elsewhere.in_words] if elsewhere else [],
    )
