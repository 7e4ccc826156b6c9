"""Report: what will run, what came out, how it compares, and what to type next."""

import shlex
from typing import Any

from infer.config import Stage
from infer.config.labeling import LabelMode
from infer.console import size
from infer.context import Context
from infer.files import canonical_json
from infer.result import outcome_of
from infer.stages.squeeze import Teacher
from infer.statistics import Summary, as_text
from infer.store import Artefact
from infer.trials import Trial
from infer.workload import COLUMNS, Workload

_SMALL_BATCH = 8
"""A last batch of so many times fewer images than the others is worth a word."""


def announce(context: Context, trials: list[Trial], plan: dict[Stage, list[Artefact]]) -> None:
    """Say what will run and what is there already."""
    config, data, main = context.config, context.data, trials[0]
    say = context.console.say
    say(
        f"{config.method.name} on {data.name} ({data.num_classes} classes, {sum(data.train_counts)} training images of "
        f"{data.image_size}x{data.image_size}), {config.labeling.mode.value} labels, protocol {main.material.protocol}"
    )
    storage = main.storage()
    budget = f"ipc={config.ipc}" if config.K is None else f"K={config.K} given"
    say(
        f"{budget}: {main.material.images.in_words}, charged as {storage['ipc_charged']:g} images per class; "
        f"students make {main.num_steps} steps on {main.material.images.num_images} images"
    )
    if main.overrides:
        settings = " ".join(f"{key}={_typed(value)}" for key, value in main.overrides.items())
        say(f"the labels are of batches made with {settings}: these settings replace the protocol's")
    for trial in trials:
        _warn_of_small_batch(context, trial)
    workload = Workload()
    workload.add(context, plan)
    context.console.table(COLUMNS, workload.rows)
    say(f"device {context.device}, {context.precision}, seed {config.seed}; everything goes to {context.run_folder}")


def _typed(value: object) -> str:
    """``value`` as a person types it behind ``key=``."""
    return canonical_json(value).strip('"')


def _warn_of_small_batch(context: Context, trial: Trial) -> None:
    """Say so where the few images that are left of an epoch get an update of their own."""
    whole, last = max(trial.plan.batch_sizes), trial.plan.batch_sizes[-1]
    if _SMALL_BATCH * last <= whole:
        context.console.say(
            f"{trial.material.name}, {trial.plan.num_images} images: 1 in {trial.plan.steps_per_epoch} updates is made "
            f"from the last {last}, as much as from {whole}; evaluate.even_batches=true divides them evenly"
        )


def run(context: Context, trials: list[Trial], teachers: list[Teacher]) -> None:
    """Draw the pictures and print the closing tables."""
    from infer.pictures import draw  # matplotlib takes a second to import

    done = [trial for trial in trials if trial.is_done]
    if done:
        _print_scores(context, done)
    if teachers:
        accuracies = ", ".join(f"{teacher.arch} {teacher.top1:.2f} %" for teacher in teachers)
        context.console.say(f"teachers, test top-1: {accuracies}")
    _print_storage(context, trials)
    draw(context, trials)
    _print_next(context, context.store.exists(trials[0].material.images))


def summarise_job(context: Context, record: dict[str, Any]) -> None:
    """What a sweep's job came to, in one line."""
    split = context.config.evaluate.split.value
    score = f"{split} top-1 {_score(record['metrics'], f'{split}/top1')} %"
    stages = record["stages"].values()
    made, reused = (sum(stage[count] for stage in stages) for count in ("made", "reused"))
    context.console.headline(f"job {context.run_folder.name}: {score}; {made} made, {reused} reused")


def _print_scores(context: Context, trials: list[Trial]) -> None:
    """One table per student architecture, the leading one first."""
    split = context.config.evaluate.split.value
    epoch = context.config.evaluate.reported.value
    columns = ["set", "protocol", f"{split} top-1 %", f"{split} top-5 %", "images", "steps", "bytes"]
    outcomes = [(trial, outcome_of(trial)) for trial in trials]
    for arch in context.config.student.archs:
        rows = [
            [
                trial.material.name,
                trial.material.protocol,
                *(_score(outcome["per_student"][arch], f"{split}/{score}") for score in ("top1", "top5")),
                str(trial.material.images.num_images),
                str(trial.num_steps),
                size(outcome["storage"]["total_bytes"]),
            ]
            for trial, outcome in outcomes
        ]
        context.console.table(columns, rows, title=f"Student {arch}: {epoch} epoch, mean ± std (n)")


def _score(metrics: dict[str, Summary], key: str) -> str:
    return as_text(metrics[key]) if key in metrics else "-"


def _print_storage(context: Context, trials: list[Trial]) -> None:
    storage = trials[0].storage()
    parts = ", ".join(f"{part} {size(storage[f'{part}_bytes'])}" for part in ("natural", "compensator", "label"))
    context.console.say(
        f"storage: {parts}; together {storage['total_bytes']} bytes, {storage['compression_ratio']:.2f} % of the "
        f"training data; ipc charged {storage['ipc_charged']:g}"
    )
    for trial in trials[1:]:
        if trial.material.leftover_bytes:
            context.console.say(f"  {trial.material.name} leaves {trial.material.leftover_bytes} bytes of that unused")


_NOT_OF_OTHER_LABELS = ("labeling=", "labeling.path=", "labeling.source=", "stages=", "force=")
"""Beginnings of words that a command for other labels of the same images does without."""


def _print_next(context: Context, has_set: bool) -> None:
    """The folder, and the command that a person is likely to want next."""
    say, folder = context.console.say, context.run_folder
    typed = [word for word in context.overrides if not word.startswith(_NOT_OF_OTHER_LABELS)]
    other = LabelMode.static if context.config.labeling.mode is LabelMode.dynamic else LabelMode.dynamic
    say(f"pictures, record and distilled set: {folder}")
    if has_set:
        say(f"open the set in Python: import infer; infer.load({str(folder)!r})")
    say(f"next, other labels for the same images: python launch.py {shlex.join([*typed, f'labeling={other.value}'])}")
