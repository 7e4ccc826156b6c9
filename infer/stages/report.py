"""Report: the tables at the end of a run, its pictures and its page, and the command to type next."""

import logging
import shutil
from pathlib import Path

from infer.config.labeling import LabelMode
from infer.console import size
from infer.context import Context
from infer.evaluation.comparison import Evaluation
from infer.records.names import FIGURES, REPORT
from infer.records.run import Run
from infer.stages.pictures import Pictures
from infer.store import Artefact
from infer.tables import or_dash
from infer.teachers.teacher import Teacher
from infer.words import launch_command

log = logging.getLogger(__name__)


def run(context: Context, evaluations: list[Evaluation], teachers: list[Teacher]) -> None:
    """Draw the pictures, and print the tables at the end of a run."""
    done = [evaluation for evaluation in evaluations if evaluation.is_done]
    if done:
        _print_scores(context, done)
    if teachers:
        accuracies = ", ".join(f"{teacher.arch} {teacher.top1:.2f} %" for teacher in teachers)
        context.console.say(f"teachers, test top-1: {accuracies}")
    _print_storage(context, evaluations)
    _copy_pictures(context, Pictures(context, evaluations))
    main = evaluations[0].labelled.images
    _print_next(context, has_set=isinstance(main, Artefact) and context.store.exists(main))


def write_page(folder: Path, outputs: Path) -> None:
    """Write ``report.html`` of the run in ``folder``, which has ended; a failure gives a warning only."""
    from infer.reports.run import write_page as write  # matplotlib takes a second

    try:
        write(Run(folder.name, folder), outputs)
    except Exception as error:
        log.warning("%s could not be written: %s: %s", REPORT, type(error).__name__, error)


def _copy_pictures(context: Context, pictures: Pictures) -> None:
    """Copy the stored pictures into the folder of the run, SVG and PDF into a subfolder."""
    for file in context.folder(pictures).iterdir():
        if file.suffix == ".png":
            shutil.copyfile(file, context.run_folder / file.name)
        elif file.suffix in (".svg", ".pdf"):
            (context.run_folder / FIGURES).mkdir(exist_ok=True)
            shutil.copyfile(file, context.run_folder / FIGURES / file.name)


def _print_scores(context: Context, evaluations: list[Evaluation]) -> None:
    """Print a table for each student architecture, in the order of the setting."""
    split = context.config.evaluate.split.value
    epoch = context.config.evaluate.reported.value
    columns = ["set", "protocol", f"{split} top-1 %", f"{split} top-5 %", "images", "steps", "bytes"]
    outcomes = [(evaluation, evaluation.outcome()) for evaluation in evaluations]
    for arch in context.config.student.archs:
        rows = [
            [
                evaluation.labelled.name,
                evaluation.labelled.protocol,
                *(or_dash(outcome["per_student"][arch].get(f"{split}/{score}")) for score in ("top1", "top5")),
                str(evaluation.labelled.images.num_images),
                str(evaluation.num_steps),
                size(outcome["storage"]["total_bytes"]),
            ]
            for evaluation, outcome in outcomes
        ]
        context.console.table(columns, rows, title=f"Student {arch}: {epoch} epoch, mean ± std (n)")


def _print_storage(context: Context, evaluations: list[Evaluation]) -> None:
    storage = evaluations[0].storage()
    parts = ", ".join(f"{part} {size(storage[f'{part}_bytes'])}" for part in ("natural", "compensator", "label"))
    context.console.say(
        f"storage: {parts}; together {storage['total_bytes']} bytes, {storage['compression_ratio']:.2f} % of the "
        f"training data; ipc charged {storage['ipc_charged']:g}"
    )
    for evaluation in evaluations[1:]:
        if evaluation.labelled.leftover_bytes:
            context.console.say(
                f"  {evaluation.labelled.name} leaves {evaluation.labelled.leftover_bytes} bytes of that unused"
            )


_NOT_OF_OTHER_LABELS = ("labeling=", "labeling.path=", "labeling.source=", "stages=", "force=")
"""Beginnings of words that are left out of a command for other labels of the same images."""


def _print_next(context: Context, has_set: bool) -> None:
    """Print the folder, and the command that the user is likely to need next."""
    say, folder = context.console.say, context.run_folder
    typed = [word for word in context.overrides if not word.startswith(_NOT_OF_OTHER_LABELS)]
    other = LabelMode.static if context.config.labeling.mode is LabelMode.dynamic else LabelMode.dynamic
    say(f"report: {folder / REPORT}; pictures, record and distilled set beside it")
    if has_set:
        say(f"open the set in Python: import infer; infer.load({str(folder)!r})")
    say(f"next, other labels for the same images: {launch_command([*typed, f'labeling={other.value}'])}")
