"""The first lines that a run prints, before the work, and the line with which a job of a sweep ends."""

from typing import Any

from infer.context import Context
from infer.costs import estimate, line_of
from infer.evaluation.comparison import Evaluation
from infer.files import canonical_json
from infer.pipeline.inventory import COLUMNS, Inventory
from infer.pipeline.plan import ArtefactPlan, with_report
from infer.records.machines import joined
from infer.tables import or_dash

EMULATED_BF16 = (
    "bf16 was asked for, and this processor has no instructions for it: training takes many times as long as in fp32. "
    "Type precision=fp32"
)
_SMALL_BATCH = 8
"""Ratio of the batch size to that of the last batch from which on the run prints a warning."""


def announce(context: Context, evaluations: list[Evaluation], plan: ArtefactPlan, processes: int = 1) -> None:
    """Print what the run will make, in how many processes, and what exists already."""
    config, data, main = context.config, context.data, evaluations[0]
    say = context.console.say
    say(
        f"{config.method.name} on {data.name} ({data.num_classes} classes, {sum(data.train_counts)} training images of "
        f"{data.image_size}x{data.image_size}), {config.labeling.mode.value} labels, protocol {main.labelled.protocol}"
    )
    storage = main.storage()
    budget = f"ipc={config.ipc}" if config.K is None else f"K={config.K} given"
    say(
        f"{budget}: {main.labelled.images.size_text}, charged as {storage['ipc_charged']:g} images per class; "
        f"students make {main.num_steps} steps on {main.labelled.images.num_images} images"
    )
    if main.overrides:
        settings = " ".join(f"{key}={_typed(value)}" for key, value in main.overrides.items())
        say(f"the labels are of batches made with {settings}: these settings replace the protocol's")
    for evaluation in evaluations:
        _warn_of_small_batch(context, evaluation)
    inventory = Inventory()
    inventory.add(context, plan)
    context.console.table(COLUMNS, inventory.rows)
    cost = estimate(context, with_report(context, evaluations, plan), hasty=True)
    context.progress.forecast.expect(cost.works, cost.seconds_per_unit)
    say(line_of(cost, processes))
    if cost.works and context.emulates_bf16:
        say(EMULATED_BF16)
    say(f"device {context.device}, {_precisions(context)}, seed {config.seed}; everything goes to {context.run_folder}")


def _precisions(context: Context) -> str:
    """Floating-point format of the trainings; both formats where teachers and students differ."""
    teachers, students = map(joined, context.precisions)
    return teachers if teachers == students else f"teachers {teachers}, students {students}"


def _typed(value: object) -> str:
    """``value`` as it is typed after ``key=``."""
    return canonical_json(value).strip('"')


def _warn_of_small_batch(context: Context, evaluation: Evaluation) -> None:
    """Print a warning where the last batch of an epoch has few images."""
    name, plan = evaluation.labelled.name, evaluation.plan
    whole, last = max(plan.batch_sizes), plan.batch_sizes[-1]
    if _SMALL_BATCH * last <= whole:
        context.console.say(
            f"{name}, {plan.num_images} images: 1 in {plan.steps_per_epoch} updates is made "
            f"from the last {last}, with the weight of one from {whole}; evaluate.even_batches=true divides them evenly"
        )


def summarise_job(context: Context, record: dict[str, Any]) -> None:
    """Print the result of a sweep's job in one line."""
    split = context.config.evaluate.split.value
    top1 = or_dash(record["metrics"].get(f"{split}/top1"))
    stages = record["stages"].values()
    made, reused = (sum(stage[count] for stage in stages) for count in ("made", "reused"))
    context.console.headline(f"job {context.run_folder.name}: {split} top-1 {top1} %; {made} made, {reused} reused")
