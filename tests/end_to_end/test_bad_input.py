"""Words typed wrong, and accidents of a run: one line, the right exit code, nothing half-made."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


def _one_line(finished: subprocess.CompletedProcess, code: int) -> str:
    lines = finished.stderr.strip().splitlines()
    assert finished.returncode == code, finished.stderr
    assert len(lines) == 1 and lines[0].startswith("infer: "), finished.stderr
    return lines[0]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["ipcc=3"], ["ipcc is not a setting", "Type ipc=<value>"]),
        (["method.iteration=3"], ["method.iteration is not a setting", "Type method.iterations=<value>"]),
        (["dataset=cifar11"], ["dataset=cifar11 is not a choice", "cifar10, cifar100", "Type dataset=cifar10"]),
        (["ipc=ten"], ["ipc=ten", "Integer"]),
        (["ipc=0"], ["ipc=0", "at least 1"]),
        (["K=-1"], ["K=-1", "at least 1"]),
        (["M=5"], ["M=5", "4 architectures", "M=1..4"]),
        (["stages=[distill]"], ["distill", "squeeze, generate, relabel, evaluate, report"]),
        (["teachers.archs=[resnet19]"], ["resnet19", "resnet18"]),
        (["ipc"], ["'ipc'"]),
        (["dataset=folder"], ["dataset.root"]),
        (["method=random", "method.lr=1"], ["method.lr is not a setting"]),
        (["method=random", "method.composed_codec=jpeg"], ["It is one of method=infer: leave it out"]),
        (["method=random", "+method.composed_codec=jpeg"], ["+method.composed_codec was given, but there is no"]),
        (["method.composed_codec=png"], ["method.composed_codec=png", "[exact, jpeg]"]),
    ],
)
def test_refused_before_torch_is_loaded(launch_in, tmp_path, words, says):
    line = _one_line(launch_in(tmp_path, *words), code=2)
    for part in says:
        assert part in line


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["stages=[evaluate]"], ["has not been run", "stages=[squeeze", "Make it with"]),
        (["dataset=folder", "dataset.root=nowhere"], ["nowhere"]),
        (["dataset=cifar10", "dataset.root=nowhere"], ["cifar-10-python.tar.gz", "nowhere"]),
        (["K=500"], ["K=500", "class"]),
        (["teachers.archs=[convnet3]"], ["convnet3", "batch-norm"]),
        (["student.archs=[convnet6]"], ["convnet6", "8"]),
        (["student.archs=[timm/resnet18x]"], ["resnet18x"]),
        (["device=cuda:7"], ["cuda:7", "device=cpu"]),
    ],
)
def test_refused_before_the_first_expensive_second(launch_in, tmp_path, words, says):
    line = _one_line(launch_in(tmp_path, *words, "baselines=[]"), code=2)
    for part in says:
        assert part in line
    assert not list((tmp_path / "outputs").glob("teachers/*"))


def test_a_broken_image_is_named(launch_in, tmp_path):
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            folder = tmp_path / "tree" / split / name
            folder.mkdir(parents=True)
            for number in range(3):
                Image.new("RGB", (8, 8), (number * 40, 9, 90)).save(folder / f"{number}.png")
    broken = tmp_path / "tree" / "train" / "dog" / "1.png"
    broken.write_bytes(broken.read_bytes()[:40])
    line = _one_line(launch_in(tmp_path, "dataset=folder", "dataset.root=tree", "teachers=digits"), code=2)
    assert "1.png" in line


def test_a_loss_that_is_not_finite(launch_in, tmp_path):
    words = ["teachers.lr=1e30", "teachers.epochs=2", "M=1", "baselines=[]"]
    line = _one_line(launch_in(tmp_path, *words), code=1)
    assert "learning rate" in line
    (run,) = (tmp_path / "outputs" / "runs").iterdir()
    result = json.loads((run / "result.json").read_text())
    assert result["status"] == "failed" and result["error"] in line
    assert not [path for path in (tmp_path / "outputs" / "teachers").iterdir() if not path.name.startswith(".")]


def test_compensators_that_outgrow_images(launch_in, tmp_path):
    """The losses stay finite: clipped images are images, too."""
    short = ["teachers.archs=[convnet3_w8_batchnorm]", "teachers.epochs=1", "teachers.min_top1=null", "K=1"]
    line = _one_line(launch_in(tmp_path, *short, "method.iterations=3", "method.lr=1e9", "baselines=[]"), code=1)
    assert "diverged: 100% of the values" in line and "method.lr (now 1e+09)" in line
    assert not list((tmp_path / "outputs").glob("distilled/*"))


def test_a_teacher_below_the_bar_stops_the_run(launch_in, tmp_path):
    words = ["teachers.min_top1=100", "teachers.epochs=1", "M=1", "baselines=[]"]
    line = _one_line(launch_in(tmp_path, *words), code=1)
    assert "below teachers.min_top1" in line
    assert not list((tmp_path / "outputs").glob("compensators/*"))


@pytest.mark.slow
def test_interrupted_and_continued(launch_in, tmp_path):
    """SIGTERM, then Ctrl-C in the middle: records that say so, and the same command ends with the same numbers."""
    words = [
        "M=1",
        "K=2",
        "method.group=1",
        "teachers.epochs=3",
        "method.iterations=60",
        "evaluate.repeats=4",
        "evaluate.steps=60",
        "baselines=[]",
    ]
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    straight.mkdir(), broken.mkdir()
    assert launch_in(straight, *words).returncode == 0
    _interrupt(broken, words, when_there="compensators", sent=signal.SIGTERM, code=143)
    _interrupt(broken, words, when_there="evals", sent=signal.SIGINT, code=130)
    finished = launch_in(broken, *words)
    assert finished.returncode == 0, finished.stderr
    assert _metrics(broken) == _metrics(straight)


def _interrupt(folder: Path, words: list[str], when_there: str, sent: signal.Signals, code: int) -> None:
    """Run until a folder of the store is there, send the signal, and look at what is left."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "launch.py"), *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    _wait_for(folder / "outputs" / when_there, process)
    process.send_signal(sent)
    _, error = process.communicate(timeout=60)
    assert process.returncode == code, error
    assert len(error.strip().splitlines()) == 1
    run = sorted((folder / "outputs" / "runs").iterdir())[-1]
    assert json.loads((run / "result.json").read_text())["status"] == "interrupted"


def _wait_for(path: Path, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)


def _metrics(folder: Path) -> dict:
    newest = sorted((folder / "outputs" / "runs").iterdir())[-1]
    return json.loads((newest / "result.json").read_text())["metrics"]
