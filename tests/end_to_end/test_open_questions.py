"""The presets that answer open questions, in a short form: the whole sweep, its table and what each step is worth."""

import html
import json
import re
from pathlib import Path

import pytest

_TEACHERS = ("convnet3_w8_batchnorm", "resnet8_w8", "convnet3_w16_batchnorm", "resnet14_w8")
SHORT = (
    f"teachers.archs=[{','.join(_TEACHERS)}]",
    "teachers.epochs=1",
    "teachers.min_top1=null",
    "student.archs=[convnet3_w8_batchnorm]",
    "evaluate.steps=2",
    "evaluate.repeats=2",
    "stages=[squeeze,generate,relabel,evaluate]",  # a job's own pictures take longer than all else here
)
ITERATIONS = "method.iterations=2"
ON_DIGITS = ("dataset=digits", f"teachers.archs=[{_TEACHERS[0]}]", "precision=fp32", "K=2", "method.group=2")
"""For presets that are written for CIFAR-10 with one teacher."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """All sweeps share one store, so that each makes only what is its own."""
    return tmp_path_factory.mktemp("questions")


@pytest.mark.parametrize(
    ("experiment", "words", "steps"),
    [
        ("ablation_m", [ITERATIONS], ["M=1 → 2", "M=2 → 3", "M=3 → 4"]),
        ("ablation_labels", [ITERATIONS], ["labeling=hard → static", "labeling=hard → dynamic", "labeling=hard → fkd"]),
        (
            "ablation_mixup_static",
            [ITERATIONS, "seed=0", "evaluate.mix=mixup,none"],
            ["evaluate.mix=mixup → none", "M=1 → 4"],
        ),
        (
            "open_num_teachers",
            [ITERATIONS, "variant=teachers_1,teachers_4_of_60"],
            ["variant=teachers_1 → teachers_4_of_60"],
        ),
        ("open_extreme", ["ipc=1,2", "method=rded,random"], ["ipc=1 → 2", "method=rded → random"]),
        (
            "ablation_no_ufc",
            [*ON_DIGITS, ITERATIONS, "variant=published,shuffled,per_class"],
            [f"variant=published → {variant}" for variant in ("shuffled", "per_class")],
        ),
        (
            "ablation_fidelity",
            [*ON_DIGITS, ITERATIONS, "variant=published,times_t2"],
            ["variant=published → times_t2"],
        ),
        (
            "ablation_iterations",
            [*ON_DIGITS, "variant=iterations_50,iterations_100"],
            ["variant=iterations_50 → iterations_100"],
        ),
        (
            "infer_plus_cifar10",
            [*ON_DIGITS, ITERATIONS, "variant=published,quarter_size"],
            ["variant=published → quarter_size"],
        ),
    ],
)
def test_a_question_is_answered_in_numbers(folder, launch_in, experiment, words, steps):
    finished = launch_in(folder, f"experiment={experiment}", *SHORT, *words)
    assert finished.returncode == 0, finished.stderr
    sweep = max((folder / "outputs" / "sweeps").iterdir())
    page, table = (sweep / "report.html").read_text(), (sweep / "table.md").read_text()
    for step in steps:
        (line,) = [line for line in finished.stdout.splitlines() if line.strip().startswith(f"{step}:")]
        assert "noise" in line or "no spread" in line
        assert line.strip() in page and line.strip() in table


def test_teachers_conflict_in_numbers(folder, launch_in):
    """A run and no sweep: its analyses say what they found, on the terminal and on the run's page."""
    stages = "stages=[squeeze,generate,report]"
    finished = launch_in(folder, "experiment=teacher_conflict", *SHORT, ITERATIONS, "M=2", "K=2", stages)
    assert finished.returncode == 0, finished.stderr
    (run,) = (folder / "outputs" / "runs").iterdir()
    page = html.unescape((run / "report.html").read_text())
    for name in ("conflict", "dominance", "similarity"):
        (line,) = [line for line in finished.stdout.splitlines() if line.strip().startswith(f"{name}:")]
        found = line.partition(":")[2].strip()
        assert re.search(r"\d", found) and found in page


def test_costs_over_sizes_are_measured_or_estimated(folder, launch_in):
    """The smallest sizes are made, ImageNet-1k's are not; smaller batches keep the timed steps at 224 pixels short."""
    jobs = "variant=ipc_1,classes_10,imagenet_ipc_10,imagenet_ipc_50"
    small = (ITERATIONS, "M=1", "method.group=1", "method.class_chunk=10")
    finished = launch_in(folder, "experiment=open_scale", *SHORT, *small, jobs)
    assert finished.returncode == 0, finished.stderr
    sweep = max((folder / "outputs" / "sweeps").iterdir())
    records = [json.loads(path.read_text()) for path in sorted(sweep.glob("*/result.json"))]
    costs = [record["costs"] for record in records]
    assert [each["sizes"]["classes"] for each in costs] == [10, 10, 1000, 1000]
    for each in costs[:2]:
        assert each["unmade"] is None
        assert each["measured"]["seconds"] / 30 < each["expected"]["seconds"] < 30 * each["measured"]["seconds"]
    for each in costs[2:]:
        assert "more than scale.most_minutes=5" in each["unmade"] or "of memory" in each["unmade"]
    assert [record["metrics"] for record in records] == [{}] * 4, "the scores of a stand-in say nothing"
    (paragraph,) = [line for line in finished.stdout.splitlines() if line.startswith("ipc 1 → 10 (10 classes, 8 px, ")]
    assert "per class), measured: " in paragraph.partition(".")[0]
    assert "ipc 10 → 50 (1,000 classes, 224 px, 1,281 training images per class), estimate: " in paragraph
    rows = [line for line in finished.stdout.splitlines() if re.match(r"\d-variant", line)]
    told = [word for row in rows for word in row.split() if word in ("measured", "estimate")]
    assert told == ["measured", "measured", "estimate", "estimate"]
    page, table = (sweep / "report.html").read_text(), (sweep / "table.md").read_text()
    assert paragraph in page and paragraph in table and "![scale](scale.png)" in table
    assert (sweep / "scale.png").is_file()
