"""The pipeline as a user runs it, on a small form of the default: a process of its own, then what it left behind."""

import json
from pathlib import Path

import pytest
from helpers.small_run import SMALL_RUN, SMALL_RUN_OF_ANY_METHOD
from PIL import Image

import infer

_SMALL = (*SMALL_RUN, "evaluate.repeats=2")
_WITHOUT_REPORT = "stages=[squeeze,generate,relabel,evaluate]"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("work")


def _result(folder: Path) -> dict:
    return json.loads((sorted((folder / "outputs" / "runs").iterdir())[-1] / "result.json").read_text())


@pytest.fixture(scope="module")
def first(folder, launch_in):
    """The first run, from nothing."""
    finished = launch_in(folder, *_SMALL)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout, _result(folder), sorted((folder / "outputs" / "runs").iterdir())[-1]


def test_the_record_is_complete(first):
    _, result, _ = first
    assert result["status"] == "done" and result["error"] is None
    assert result["choices"]["dataset"] == "digits" and result["config"]["K"] == 3
    for name in ("squeeze", "generate", "relabel", "evaluate"):
        stage = result["stages"][name]
        assert stage["made"] == len(stage["signatures"]) > 0 and stage["reused"] == 0
    top1 = result["metrics"]["test/top1"]
    assert top1["n"] == 2 and len(top1["values"]) == 2 and 0 <= top1["mean"] <= 100
    assert result["metrics"]["test/top5"]["mean"] >= top1["mean"]
    assert result["metrics"]["test/top1_best_epoch"]["mean"] >= top1["mean"]
    assert result["metrics"]["teacher/resnet8_w8/top1"]["n"] == 1
    assert set(result["baselines"]) == {"random_static", "random_hard", "full"}
    assert result["environment"]["threads"] >= 1 and result["environment"]["versions"]["torch"]
    assert result["environment"]["smallest_class"] == 139


def test_storage_is_what_lies_on_disk(first):
    _, result, run = first
    storage = result["storage"]
    # K 3, C 10, M 2: 3·10 images, 2·3 compensators of int8 with 3 float32 scales
    assert storage["natural_bytes"] == 3 * 10 * 3 * 64
    assert storage["compensator_bytes"] == 2 * 3 * (3 * 64 + 12)
    assert storage["label_bytes"] == 3 * 10 * 3 * 10 * 2
    assert storage["ipc_charged"] == pytest.approx(3.6)
    parts = ("natural_bytes", "compensator_bytes", "label_bytes")
    assert storage["total_bytes"] == sum(storage[part] for part in parts)
    payload = sum(_payload(run / "distilled" / f"{name}.safetensors") for name in ("natural", "compensators", "labels"))
    assert payload == storage["total_bytes"]


def test_baselines_fit_the_same_bytes_and_make_the_same_updates(first):
    _, result, _ = first
    budget = result["storage"]["total_bytes"]
    for name in ("random_static", "random_hard"):
        baseline = result["baselines"][name]
        storage = baseline["storage"]
        assert storage["total_bytes"] + storage["leftover_bytes"] == budget
        assert baseline["protocol_settings_sha256"] == result["environment"]["protocol_settings_sha256"]
        assert baseline["student_steps"] == result["environment"]["student_steps"] == 40
    assert result["baselines"]["random_hard"]["protocol"] == "digits_static+hard*"  # starred: evaluate.steps was typed


def test_the_distilled_set_opens(first):
    _, result, run = first
    opened = infer.load(run)
    image, target, logits = opened[0]
    assert len(opened) == 90 and image.shape == (3, 8, 8) and target == 0 and logits.shape == (10,)
    assert opened.manifest["labels"]["mode"] == "static"
    assert opened.manifest["storage"] == result["storage"]


def test_the_report_and_its_pictures_are_there(first):
    page = (first[2] / "report.html").read_text()
    for name in ("samples", "curves", "accuracy_by_class", "confusion", "calibration"):
        with Image.open(first[2] / f"{name}.png") as picture:
            assert picture.width > 600
        assert (first[2] / "figures" / f"{name}.pdf").is_file() and (name == "samples" or f"{name}.svg" in page)
    assert "INFER with static labels" in page and "Unfinished" not in page and "infer_static" not in page


def test_what_a_person_reads(first):
    output, result, run = first
    assert "protocol digits_static" in output
    assert "K=3 natural subsets" in output and "charged as 3.6 images per class" in output
    assert f"{result['metrics']['test/top1']['mean']:.2f} ±" in output
    assert str(result["storage"]["total_bytes"]) in output
    assert run.name in output
    assert "python launch.py" in output.splitlines()[-1]
    assert (run / "infer.log").read_text().strip()


def test_the_second_run_makes_nothing_and_says_the_same(first, folder, launch_in):
    finished = launch_in(folder, *_SMALL)
    assert finished.returncode == 0, finished.stderr
    again = _result(folder)
    assert all(stage["made"] == 0 for stage in again["stages"].values())
    assert again["metrics"] == first[1]["metrics"] and again["baselines"] == first[1]["baselines"]


@pytest.mark.slow
def test_other_store_same_numbers(first, launch_in, tmp_path):
    """The same seed gives the same numbers from scratch."""
    finished = launch_in(tmp_path, *_SMALL, "baselines=[]")
    assert finished.returncode == 0, finished.stderr
    assert _result(tmp_path)["metrics"] == first[1]["metrics"]


def test_force_redoes_a_stage_and_what_follows(first, folder, launch_in):
    finished = launch_in(folder, *_SMALL, "force=[relabel]", "baselines=[]", _WITHOUT_REPORT)
    assert finished.returncode == 0, finished.stderr
    stages = _result(folder)["stages"]
    assert stages["squeeze"]["made"] == stages["generate"]["made"] == 0
    assert stages["relabel"]["reused"] == stages["evaluate"]["reused"] == 0
    assert _result(folder)["metrics"] == first[1]["metrics"]


def test_parts_of_the_pipeline(first, folder, launch_in):
    before = len(list((folder / "outputs" / "runs").iterdir()))
    finished = launch_in(folder, *_SMALL, "seed=1", "stages=[generate]")
    assert finished.returncode == 2
    assert "squeeze has not been run" in finished.stderr
    assert "Make it with: python launch.py" in finished.stderr and "stages=[squeeze]" in finished.stderr
    assert len(finished.stderr.strip().splitlines()) == 1
    assert len(list((folder / "outputs" / "runs").iterdir())) == before  # what is refused leaves no run


@pytest.mark.parametrize(
    "words",
    [
        ("labeling=dynamic", "baselines=[random_dynamic]"),
        ("labeling=hard", "baselines=[]"),
        ("evaluate.split=val", "baselines=[]", "evaluate.repeats=1"),
        ("method.compensator_dtype=float16", "M=1", "K=1", "baselines=[]", "student.archs=[resnet8_w8,convnet3_w32]"),
    ],
)
def test_other_words(first, folder, launch_in, words):
    finished = launch_in(folder, *_SMALL, *words, _WITHOUT_REPORT)
    assert finished.returncode == 0, finished.stderr
    result = _result(folder)
    assert result["status"] == "done"
    if "evaluate.split=val" in words:
        assert "val/top1" in result["metrics"] and "test/top1" in result["metrics"]
    if "labeling=hard" in words:
        assert result["storage"]["label_bytes"] == 3 * 10 * 2


def test_random_images_as_the_method(first, folder, launch_in):
    words = (*SMALL_RUN_OF_ANY_METHOD, "method=random", "ipc=2", "evaluate.repeats=1", _WITHOUT_REPORT)
    finished = launch_in(folder, *words)
    assert finished.returncode == 0, finished.stderr
    result = _result(folder)
    assert result["storage"]["total_bytes"] == 2 * 10 * (3 * 64 + 10 * 2)
    assert set(result["baselines"]) == {"random_hard", "full"}  # random_static would be the set itself
    assert result["stages"]["generate"]["made"] <= 2


def _payload(path: Path) -> int:
    from infer.store.files import load_tensors

    return sum(tensor.numel() * tensor.element_size() for tensor in load_tensors(path).values())
