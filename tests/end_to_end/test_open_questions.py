"""The presets that answer open questions, in a short form: the whole sweep, its table and what each step is worth."""

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
            [ITERATIONS, "seed=0,1", "evaluate.mix=mixup,none"],
            ["evaluate.mix=mixup → none", "M=1 → 4"],
        ),
        (
            "open_num_teachers",
            [ITERATIONS, "variant=teachers_1,teachers_4_of_60"],
            ["variant=teachers_1 → teachers_4_of_60"],
        ),
        ("open_extreme", ["ipc=1,2", "method=rded,random"], ["ipc=1 → 2", "method=rded → random"]),
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
