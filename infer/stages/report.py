"""Report: what will run, what came out, how it compares, and what to type next."""

from infer.config import Stage
from infer.config.method import LabelMode
from infer.console import size
from infer.context import Context
from infer.result import outcome_of
from infer.stages.squeeze import Teacher
from infer.statistics import as_text
from infer.store import Artefact
from infer.trials import Trial


def announce(context: Context, trials: list[Trial], plan: dict[Stage, list[Artefact]]) -> None:
    """Say what will run and what is there already."""
    config, data, main = context.config, context.data, trials[0]
    say = context.console.say
    say(
        f"{config.method.name} on {data.name} ({data.num_classes} classes, {sum(data.train_counts)} training images of "
        f"{data.image_size}x{data.image_size}), {config.labeling.mode.value} labels, protocol {main.material.protocol}"
    )
    storage = main.storage()
    say(
        f"ipc={config.ipc}: {main.material.images.in_words}, charged as {storage['ipc_charged']:g} images per class; "
        f"students make {main.num_steps} steps on {main.material.images.num_images} images"
    )
    rows = []
    for stage, artefacts in plan.items():
        there = sum(context.store.exists(artefact) for artefact in artefacts)
        asked = stage in config.stages
        to_make = len(artefacts) - there if asked and stage not in context.forced else len(artefacts) * asked
        rows.append([stage.value, str(len(artefacts)), str(there), str(to_make) if asked else "not asked for"])
    context.console.table(["stage", "units", "there", "to make"], rows)
    say(f"device {context.device}, {context.precision}, seed {config.seed}; everything goes to {context.run_folder}")


def run(context: Context, trials: list[Trial], teachers: list[Teacher]) -> None:
    """Draw the pictures and print the closing tables."""
    from infer.pictures import draw  # matplotlib takes a second to import

    draw(context, trials)
    if Stage.evaluate in context.config.stages:
        _print_scores(context, trials)
    if teachers:
        accuracies = ", ".join(f"{teacher.arch} {teacher.top1:.2f} %" for teacher in teachers)
        context.console.say(f"teachers, test top-1: {accuracies}")
    _print_storage(context, trials)
    _print_next(context)


def _print_scores(context: Context, trials: list[Trial]) -> None:
    split = context.config.evaluate.split.value
    rows = []
    for trial in trials:
        outcome = outcome_of(trial)
        for arch, metrics in outcome["per_student"].items():
            rows.append(
                [
                    trial.material.name,
                    arch,
                    outcome["protocol"],
                    *(as_text(metrics[key]) if key in metrics else "-" for key in (f"{split}/top1", f"{split}/top5")),
                    str(trial.material.images.num_images),
                    str(trial.num_steps),
                    size(outcome["storage"]["total_bytes"]),
                ]
            )
    columns = [
        "set",
        "student",
        "protocol",
        f"{split} top-1 %",
        f"{split} top-5 %",
        "images",
        "steps",
        "bytes",
    ]
    context.console.table(columns, rows, title="Students, mean ± std (n), last epoch")


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


def _print_next(context: Context) -> None:
    """The folder, and the command that a person is likely to want next."""
    typed = [word for word in context.overrides if not word.startswith(("labeling=", "stages=", "force="))]
    other = LabelMode.static if context.config.labeling.mode is LabelMode.dynamic else LabelMode.dynamic
    context.console.say(f"pictures, record and distilled set: {context.run_folder}")
    context.console.say(f"open the set in Python: import infer; infer.load({str(context.run_folder)!r})")
    context.console.say(
        f"next, other labels for the same images: {' '.join(['python launch.py', *typed])} labeling={other.value}"
    )
