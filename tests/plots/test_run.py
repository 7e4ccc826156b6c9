"""The pictures show the pixels and numbers that the store holds, and no word is cut or covers another."""

import os
import subprocess
import sys
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.figures import assert_tidy, ticks_in_view, words_of
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from PIL import Image

from infer.commands.main import run as infer
from infer.config import Baseline, Config, Stage
from infer.console import Console
from infer.context import Context
from infer.data.base import ImageDataset, Split
from infer.errors import UsageError
from infer.evaluation.comparison import Evaluation, baseline_evaluations, main_evaluation
from infer.evaluation.student import Student
from infer.files import write_json
from infer.methods.sets.compensators import CompensatorGroup
from infer.normalisation import Normalisation
from infer.pipeline.plan import by_stage
from infer.pipeline.result import RunResult
from infer.pipeline.run_folder import write_distilled_folder
from infer.plots.curves import curves_of, generation_section, student_section, teacher_section
from infer.plots.mosaic import Mosaic, Row
from infer.plots.panels import Section, sheet
from infer.plots.run import draw
from infer.plots.samples import classes_shown, composition_rows, samples_of
from infer.plots.stored_images import ComposableImages
from infer.plots.style import drawing, save
from infer.records.run import Run
from infer.stages.pictures import Pictures
from infer.store import Store, Workspace
from infer.store.artefact import with_ancestors
from infer.store.files import save_tensors
from infer.teachers.teacher import Teacher

ROOT = Path(__file__).resolve().parents[2]
MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]
NORMALISATION = Normalisation.of(MEAN, STD)
ITERATIONS = np.array([0, 50, 100])


def history(epochs: int, final: float, test_every: int = 1) -> list[dict[str, float]]:
    rows = [{"epoch": e, "step": 7 * e, "lr": 0.1, "train_loss": 2 / e} for e in range(1, epochs + 1)]
    return [
        row | ({"test/top1": final * e / epochs} if e % test_every == 0 else {}) for e, row in enumerate(rows, start=1)
    ]


def curves(subsets: int, scale: float = 1.0) -> dict[str, np.ndarray]:
    values = scale * np.arange(1.0, 4)[:, None] + 0.1 * np.arange(subsets) ** 2
    keys = ("cross_entropy", "bn_penalty", "norm")
    return {"iteration": ITERATIONS, "clipped_share": np.minimum(values / 100, 1)} | dict.fromkeys(keys, values)


def of_compensators(by_teacher: dict[str, dict[str, np.ndarray]]) -> Section:
    return generation_section(by_teacher, "compensators", "subsets")


def leave_curves(group: CompensatorGroup, workspace: Workspace) -> dict[str, int]:
    tensors = {key: torch.from_numpy(values.copy()) for key, values in curves(len(group.subsets)).items()}
    save_tensors(workspace.folder / "curves.safetensors", tensors)
    return {}


def recorded(context: Context, evaluations: list[Evaluation]) -> Run:
    """The run of ``context``, as its record and folder tell it."""
    RunResult(context.run_folder, context.config, {}).add_plan(evaluations, by_stage(evaluations))
    write_distilled_folder(context, evaluations[0])
    return Run("run", context.run_folder)


def drawn(run: Run) -> set[str]:
    """The pictures of ``run`` that are drawn into its folder, each in three forms."""
    with drawing():
        names = set(draw(run, run.folder.parent, run.folder))
    pictures = {path.name for path in run.folder.glob("*.png")}
    assert pictures == {f"{name}.png" for name in names}
    vectors = {path.name for path in run.folder.glob("figures/*")}
    assert vectors == {f"{name}.{form}" for name in names for form in ("svg", "pdf")}
    return pictures


def curves_figure(run: Run) -> Figure:
    return curves_of(run, run.folder.parent, "title")


def samples_figure(run: Run) -> Figure:
    return samples_of(run, "title")


def make_data(classes: list[str], per_class: int, size: int) -> ImageDataset:
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (len(classes) * per_class, 3, size, size), dtype=np.uint8))
    split = Split(images, torch.arange(len(classes)).repeat(per_class))
    return ImageDataset(
        name="noise",
        classes=classes,
        mean=MEAN,
        std=STD,
        image_size=size,
        train_counts=[per_class] * len(classes),
        fingerprint="0",
        notes=[],
        read=lambda name: split,
    )


@pytest.fixture
def make_finished_context(tmp_path: Path, resolved, monkeypatch):
    """Contexts whose stages cost nothing: what teachers, compensators and students leave is made up."""

    def leave_history(self, workspace):
        write_json(workspace.folder / "history.json", history(epochs=4, final=80.0))
        return {}

    def leave_predictions(self, workspace):
        targets = torch.arange(20, dtype=torch.int32) % 10
        guesses = {"targets": targets, "predicted": targets.roll(self.repeat), "confidence": torch.full((20,), 0.8)}
        save_tensors(
            workspace.folder / "predictions.safetensors", {f"test.{name}": each for name, each in guesses.items()}
        )
        return leave_history(self, workspace)

    monkeypatch.setattr(Teacher, "make", leave_history)
    monkeypatch.setattr(Student, "make", leave_predictions)
    monkeypatch.setattr(CompensatorGroup, "make", leave_curves)
    monkeypatch.setattr(
        CompensatorGroup,
        "compensators",
        lambda self: torch.randn(len(self.subsets), 3, 8, 8, generator=torch.Generator().manual_seed(0)),
    )

    def make(*overrides: str, data: ImageDataset | None = None) -> Context:
        config: Config = resolved("baselines=[]", "evaluate.repeats=2", *overrides)
        run_folder = tmp_path / "run"
        run_folder.mkdir()
        data = data or make_data([str(c) for c in range(10)], per_class=5, size=8)
        return Context(config, data, Store(tmp_path), torch.device("cpu"), "fp32", Console(), run_folder)

    return make


def legends_of(figure: Figure) -> list[Legend]:
    return [legend for part in figure.subfigs for legend in part.legends]


def drawn_images(figure: Figure) -> list[np.ndarray]:
    return [np.asarray(image.get_array()) for axes in figure.axes for image in axes.images]


@pytest.mark.slow
def test_a_whole_run_leaves_readable_pictures(make_finished_context):
    context = make_finished_context("M=2", "K=3", "method.group=2", "student.archs=[convnet3_w32,resnet8_w8]")
    main = main_evaluation(context)
    evaluations = [main, *baseline_evaluations(context, main, [Baseline.random_hard])]
    images = main.labelled.images
    students = [student for evaluation in evaluations for group in evaluation.students.values() for student in group]
    for artefact in [images, *images.teachers, *chain(*images.groups), *students]:
        context.obtain(artefact)
    run = recorded(context, evaluations)
    names = drawn(run)
    assert names == {"samples.png", "curves.png", "accuracy_by_class.png", "confusion.png", "calibration.png"}
    for name in names:
        with Image.open(context.run_folder / name) as picture:
            picture.verify()
            assert picture.format == "PNG"
            assert 800 < picture.width < 3000 and 400 < picture.height < 3000
    figure = curves_figure(run)
    assert len(figure.axes) == 2 + 4 + 2 + 2
    assert {"infer", "random_hard", *context.config.ensemble} <= set(words_of(figure))
    assert "generate: compensators by teacher, median and range over 3 subsets" in words_of(figure)


def test_nothing_to_draw_writes_nothing(make_finished_context):
    context = make_finished_context("M=2", "K=1")
    assert drawn(recorded(context, [main_evaluation(context)])) == set()


def test_only_what_is_there_is_drawn(make_finished_context):
    context = make_finished_context("M=2", "K=3", "method.group=1")
    evaluation = main_evaluation(context)
    images = evaluation.labelled.images
    context.obtain(images.teachers[0])
    run = recorded(context, [evaluation])
    assert drawn(run) == {"curves.png"}
    assert len(curves_figure(run).axes) == 2
    context.obtain(images.groups[0][1])
    figure = curves_figure(run)
    assert len(figure.axes) == 2 + 4
    assert images.teachers[1].arch not in words_of(figure)


def with_set(make_finished_context, *words: str, **more) -> Run:
    """A run whose distilled set is made with all that it rests on, and nothing else."""
    context = make_finished_context(*words, **more)
    evaluation = main_evaluation(context)
    for artefact in with_ancestors([evaluation.labelled.images]):
        context.obtain(artefact)
    return recorded(context, [evaluation])


def test_the_command_draws_the_same_pictures_again(make_finished_context, capsys):
    run = with_set(make_finished_context, "M=2", "K=1")
    before = {name: (run.folder / name).read_bytes() for name in drawn(run)}
    for name in before:
        (run.folder / name).unlink()
    assert infer(["report", str(run.folder), "--outputs", str(run.folder.parent)]) == 0
    assert "samples.png, curves.png" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in run.folder.glob("*.png")} == before


def test_a_picture_that_fails_is_left_out(make_finished_context, monkeypatch, caplog):
    run = with_set(make_finished_context, "M=2", "K=1")
    monkeypatch.setattr("infer.plots.run.samples_of", lambda run, title: 1 / 0)
    assert drawn(run) == {"curves.png"}
    assert "the picture samples could not be drawn: ZeroDivisionError: division by zero" in caplog.text


def test_drawing_needs_no_torch(make_finished_context):
    run = with_set(make_finished_context, "M=2", "K=1")
    script = f"""
import pkgutil, sys
from importlib import import_module
from pathlib import Path
import infer.plots, infer.records, infer.reports
for room in (infer.plots, infer.records, infer.reports):
    for module in pkgutil.iter_modules(room.__path__, room.__name__ + "."):
        import_module(module.name)
folder = Path({str(run.folder)!r})
run = infer.records.run.Run("run", folder)
assert len(infer.plots.run.draw(run, folder.parent, folder)) == 2
infer.reports.run.write_page(run, folder.parent)
assert "torch" not in sys.modules
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    finished = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize(("kind", "file"), [("teachers", "history.json"), ("compensators", "curves.safetensors")])
def test_no_picture_shows_damaged_numbers(make_finished_context, tmp_path, kind, file):
    context = make_finished_context("M=2", "K=1")
    evaluation = main_evaluation(context)
    for artefact in with_ancestors([evaluation.labelled.images]):
        context.obtain(artefact)
    recorded(context, [evaluation])
    next((tmp_path / kind).glob(f"*/{file}")).write_text("[]")
    only_report = replace(context, config=replace(context.config, stages=[Stage.report]), store=Store(tmp_path))
    with pytest.raises(UsageError, match=f"is damaged: {file} is not what was written. Make it with"):
        only_report.obtain(Pictures(only_report, [main_evaluation(only_report)]))


def test_classes_of_imagenet_are_called_by_their_first_word(make_finished_context):
    data = make_data(["n01440764", "n02102040"], per_class=2, size=8)
    figure = samples_figure(with_set(make_finished_context, "method=random", "ipc=1", "labeling=hard", data=data))
    assert {"tench", "English\nspringer"} <= set(words_of(figure))


def test_samples_of_infer_show_what_is_stored(make_finished_context):
    context = make_finished_context("M=2", "K=2")
    evaluation = main_evaluation(context)
    context.obtain(evaluation.labelled.images)
    natural, compensators = evaluation.labelled.images.parts()
    shown = drawn_images(samples_figure(recorded(context, [evaluation])))
    assert len(shown) == 10 + 2 * 11 + 10
    assert shown[0].dtype == np.uint8 and np.array_equal(shown[0], natural[0, 0].permute(1, 2, 0))
    assert np.array_equal(shown[-10], natural[1, 0].permute(1, 2, 0))
    low, high = ((value - np.array(MEAN)) / STD for value in (0, 1))
    composed = NORMALISATION.normalise(natural[0, 3]).add(compensators[1, 0]).permute(1, 2, 0).numpy()
    expected = np.clip(composed, low, high) * STD + MEAN
    assert (composed < low).any() and (composed > high).any()
    assert np.allclose(shown[10 + 11 + 1 + 3], expected, atol=1e-6)


@pytest.mark.parametrize(
    "word", ["method.composed_codec=jpeg", "method.compensator_scale=2", "method.ablation=per_class"]
)
def test_samples_of_other_forms_of_infer_show_what_students_see(make_finished_context, word):
    context = make_finished_context("M=2", "K=2", word)
    evaluation = main_evaluation(context)
    context.obtain(evaluation.labelled.images)
    seen = NORMALISATION.levels(evaluation.labelled.images.images().pixels).permute(0, 2, 3, 1).numpy() / 255
    shown = drawn_images(samples_figure(recorded(context, [evaluation])))
    of_first_subset = [*shown[:10], *shown[11:21], *shown[22:32]]
    for image, expected in zip(of_first_subset, seen[:30], strict=True):
        assert np.allclose(image / 255 if image.dtype == np.uint8 else image, expected, atol=1e-5)


def test_a_compensator_has_a_symmetric_scale_of_its_own():
    natural = np.zeros((1, 1, 3, 8, 8), dtype=np.uint8)
    compensators = np.zeros((2, 1, 1, 3, 8, 8), dtype=np.float32)
    compensators[0, 0, 0, 0, 0, 0], compensators[0, 0, 0, 1, 0, 0] = -3.0, 1.5
    stored = ComposableImages(natural, compensators, ["first", "second"], STD, "exact")
    rows = composition_rows(stored, ["first", "second"], [0])
    assert [row.lead is None for row in rows] == [True, False, False]
    assert rows[1].lead[0, 0].tolist() == [0.0, 0.75, 0.5]
    assert "max |u| = 3.00" in rows[1].label and "‖u‖ = 3.35" in rows[1].label
    assert np.all(rows[2].lead == 0.5)


@pytest.mark.parametrize("size", [8, 32, 224])
def test_pixels_become_squares_of_equal_size(size, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    save(
        Mosaic("t", ["a", "b"], [Row("", [image, image]), Row("", [image, None])]).figure(),
        tmp_path / "p.png",
    )
    picture = np.asarray(Image.open(tmp_path / "p.png").convert("RGB"))
    cell = max(128, size)
    enlarged = image.repeat(cell // size, axis=0).repeat(cell // size, axis=1)
    places = [
        (y, x)
        for y, x in np.argwhere((picture == image[0, 0]).all(axis=-1))
        if np.array_equal(picture[y : y + cell, x : x + cell], enlarged)
    ]
    assert len(places) == 3
    assert len({y for y, _ in places}) == 2 and len({x for _, x in places}) == 2


def test_images_too_large_are_reduced():
    rows = [Row("", [np.full((500, 500, 3), 255, dtype=np.uint8)] * 10)]
    assert Mosaic("t", ["a"] * 10, rows).figure().bbox.width < 3000


def test_many_classes_are_cut_to_ten(make_finished_context):
    data = make_data([f"class_{c}" for c in range(100)], per_class=2, size=8)
    context = make_finished_context("method=random", "ipc=2", "labeling=hard", data=data)
    evaluation = main_evaluation(context)
    context.obtain(evaluation.labelled.images)
    figure = samples_figure(recorded(context, [evaluation]))
    assert "title (10 of 100 classes)" in words_of(figure)
    assert [word for word in words_of(figure) if word.startswith("class")] == [f"class {c}" for c in range(0, 100, 11)]
    stored = evaluation.labelled.images.images().pixels
    assert len(drawn_images(figure)) == 20
    assert np.array_equal(drawn_images(figure)[1], stored[11 * 2].permute(1, 2, 0))


def test_few_classes_are_all_shown():
    assert classes_shown(3) == [0, 1, 2]
    assert classes_shown(10) == list(range(10))


def test_a_random_set_shows_up_to_six_images_of_a_class(make_finished_context):
    context = make_finished_context("method=random", "ipc=7", "labeling=hard", data=make_data(["a", "b"], 7, 8))
    evaluation = main_evaluation(context)
    context.obtain(evaluation.labelled.images)
    assert len(drawn_images(samples_figure(recorded(context, [evaluation])))) == 2 * 6


@pytest.mark.parametrize("size", [8, 32, 224])
@pytest.mark.parametrize("classes", [1, 10])
def test_words_of_a_mosaic_do_not_collide(size, classes):
    images = [np.zeros((size, size, 3), dtype=np.uint8)] * classes
    heads = ["aquarium_fish", "Pseudomonas_aeruginosa", "great white shark, man-eater", "W" * 40, "$x$"] * 2
    label = "efficientnet_b0.ra_in1k\nclip(P₀ + u)\n‖u‖ = 31.41\nmax |u| = 2.36"
    rows = [Row("real images\nP₀", images), *[Row(label, images, lead=images[0])] * 4]
    figure = Mosaic("cifar100, infer: M=4", heads[:classes], rows, "compensator u", "a note of words " * 8).figure()
    assert_tidy(figure)


def test_lines_are_medians_over_subsets_and_means_over_repeats():
    section = of_compensators({"teacher": curves(subsets=4)})
    norm, clipped = section.panels[2].curves[0], section.panels[3].curves[0]
    assert norm.centre.tolist() == pytest.approx([1.25, 2.25, 3.25])
    assert norm.low.tolist() == pytest.approx([1, 2, 3]) and norm.high.tolist() == pytest.approx([1.9, 2.9, 3.9])
    assert clipped.centre.tolist() == pytest.approx([1.25, 2.25, 3.25])
    section = student_section(
        "net", {"infer": [history(2, 60.0), history(2, 80.0)], "full": [history(2, 90.0)]}, "test"
    )
    loss, accuracy = section.panels
    assert section.labels == ["infer", "full"]
    assert accuracy.curves[0].centre.tolist() == [35, 70] and accuracy.curves[0].high.tolist() == [40, 80]
    assert loss.curves[0].x.tolist() == [7, 14]


def test_accuracy_is_drawn_where_it_was_tested_and_left_out_where_it_was_not():
    tested, untested = history(4, 80.0, test_every=4), history(4, 80.0, test_every=9)
    section = teacher_section({"a": tested, "b": untested}, "test")
    assert [curve.label for curve in section.panels[1].curves] == ["a"]
    assert section.panels[1].curves[0].x.tolist() == [4]
    figure = sheet("title", [section])
    assert figure.axes[1].lines[0].get_marker() == "o"
    assert len(sheet("title", [teacher_section({"b": untested}, "test")]).axes) == 1
    assert len(teacher_section({"a": tested}, "val").panels) == 1


def test_a_label_looks_the_same_in_all_panels_and_unlike_any_other():
    names = [f"teacher {number}" for number in range(9)]
    section = teacher_section({name: history(4, 80.0) for name in names}, "test")
    figure = sheet("title", [section])
    drawn = [axes.lines for axes in figure.axes] + [legends_of(figure)[0].get_lines()]
    looks = [{line.get_label(): (line.get_color(), line.get_linestyle()) for line in lines} for lines in drawn]
    assert looks[0] == looks[1] == looks[2]
    assert list(looks[0]) == names[::-1], "the first must lie on top"
    assert len(set(looks[0].values())) == len(names)


@pytest.mark.parametrize("scale", [0, 1e-4, 1, 1e5])
def test_words_of_a_sheet_do_not_collide(scale):
    archs = [f"convnet3_w{w}_batchnorm" for w in (16, 32, 64, 128, 256)]
    made = of_compensators({arch: curves(3, scale) for arch in archs})
    evaluations = {"infer": [history(400, 60.0)] * 2, "random_static": [history(400, 40.0)] * 2}
    figure = sheet(
        "title",
        [
            teacher_section({arch: history(20, 97.0, test_every=20) for arch in archs}, "test"),
            made,
            student_section("resnet18", evaluations, "test"),
        ],
    )
    assert_tidy(figure)
    assert len(legends_of(figure)[0].get_texts()) == len(archs)
    for axes in figure.axes:
        assert len(list(ticks_in_view(axes))) >= 5


def test_a_single_iteration_can_be_drawn():
    one = {key: value[:1] for key, value in curves(subsets=1).items()}
    assert_tidy(sheet("title", [of_compensators({"teacher": one})]))


def test_images_have_curves_of_their_own():
    one = {key: value for key, value in curves(subsets=2).items() if key not in ("norm", "clipped_share")}
    one |= {"distance": one["cross_entropy"], "saturated_share": one["cross_entropy"] / 100}
    section = generation_section({"teacher": one}, "images", "sets of one image per class")
    assert section.title == "generate: images by teacher, median and range over 2 sets of one image per class"
    assert len(section.panels) == 4
    assert_tidy(sheet("title", [section]))


def test_class_names_of_any_script_are_drawn_without_a_warning(make_finished_context):
    context = make_finished_context("method=random", "ipc=1", "labeling=hard", data=make_data(["猫", "$a_b$"], 2, 8))
    evaluation = main_evaluation(context)
    context.obtain(evaluation.labelled.images)
    assert drawn(recorded(context, [evaluation])) == {"samples.png"}


def test_percentages_end_at_a_hundred_and_losses_are_logarithmic():
    figure = sheet("title", [teacher_section({"a": history(20, 100.0)}, "test")])
    loss, accuracy = figure.axes
    assert accuracy.get_ylim()[1] == 100
    assert loss.get_yscale() == "log" and accuracy.get_yscale() == "linear"
    narrow = sheet("title", [teacher_section({"a": history(3, 100.0)}, "test")])
    assert narrow.axes[0].get_yscale() == "linear"
