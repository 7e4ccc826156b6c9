"""Trackers: what they are told of a run, and that a run does not depend on them."""

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.records import write_sweep
from helpers.small_run import SMALL_RUN

from infer.errors import UsageError
from infer.pipeline import wandb_tracker
from infer.pipeline.tracker import Tracker
from infer.pipeline.tracking import check_tracker, medians, scores_of, tracking

ROOT = Path(__file__).resolve().parents[2]
_WORDS = (*SMALL_RUN, "evaluate.repeats=2", "baselines=[random_hard]")
_BROKEN = """
import infer.pipeline.tracking as tracking
from infer.pipeline.tracker import Tracker

def fails(*_, **__):
    raise OSError("the network is\\ndown")

methods = [name for name in vars(Tracker) if name.startswith("log_") or name == "close"]
assert len(methods) == 5
tracking.TRACKERS["wandb"] = type("Broken", (Tracker,), dict.fromkeys(methods, fails))

from infer.cli import main
main()
"""


def result_of(run: Path) -> dict:
    return json.loads((run / "result.json").read_text())


def curves_in(outputs: Path, kind: str, name: str) -> list[dict[str, float]]:
    """The history of the one artefact whose name has ``name`` in it."""
    (folder,) = [folder for folder in (outputs / kind).glob(f"*{name}*") if not folder.name.startswith(".")]
    return json.loads((folder / "history.json").read_text())


@pytest.fixture(scope="module")
def plain(tmp_path_factory, launch_in) -> Path:
    """A run that nothing tracks."""
    folder = tmp_path_factory.mktemp("plain")
    assert launch_in(folder, *_WORDS, "hydra.run.dir=outputs/runs/a-run").returncode == 0
    return folder / "outputs" / "runs" / "a-run"


def interrupted(folder: Path, launch_in, tracker: str, name: str = "a-run") -> Path:
    """A run that is tracked, ends after its first stages, and then goes on in the same folder."""
    homes = {f"WANDB_{kind}_DIR": str(folder / kind) for kind in ("CACHE", "CONFIG", "DATA")}
    words = [*_WORDS, f"hydra.run.dir=outputs/runs/{name}", f"tracker={tracker}"]
    for stages in (["stages=[squeeze,generate]"], []):
        finished = launch_in(folder, *words, *stages, **homes)
        assert finished.returncode == 0, finished.stderr
        assert "fails" not in finished.stdout + finished.stderr
    return folder / "outputs" / "runs" / name


@pytest.fixture(scope="module")
def with_wandb(tmp_path_factory, launch_in) -> Path:
    return interrupted(tmp_path_factory.mktemp("wandb"), launch_in, "wandb")


@pytest.fixture(scope="module")
def with_tensorboard(plain, launch_in) -> Path:
    """A run that reuses what the one without a tracker made."""
    if not importlib.util.find_spec("tensorboard"):
        pytest.skip("tensorboard is not installed")
    return interrupted(plain.parents[2], launch_in, "tensorboard", name="another-run")


def logged(file: Path) -> Iterator:
    """The records in one of wandb's files: protocol buffers in the format of LevelDB's log."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, position, pieces = file.read_bytes(), 7, []
    assert content[:4] == b":W&B"
    while position + 7 <= len(content):
        if 2**15 - position % 2**15 < 7:  # the rest of a block that has no place for a header
            position += 2**15 - position % 2**15
            continue
        length, kind = int.from_bytes(content[position + 4 : position + 6], "little"), content[position + 6]
        pieces.append(content[position + 7 : position + 7 + length])
        position += 7 + length
        if kind in (1, 4):  # the whole of a record, or its last piece
            yield Record.FromString(b"".join(pieces))
            pieces = []


@pytest.fixture(scope="module")
def lives(with_wandb) -> list[list]:
    """The records of both lives of the run."""
    files = sorted(with_wandb.glob("wandb/offline-run-*/run-*.wandb"))
    assert len(files) == 2
    return [list(logged(file)) for file in files]


def rows_of(records: list, name: str) -> list[dict[str, float]]:
    """Values logged under ``name``, which is cut off."""
    rows = []
    for record in records:
        if record.WhichOneof("record_type") == "history":
            items = {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
            row = {key.removeprefix(f"{name}/"): value for key, value in items.items() if key.startswith(f"{name}/")}
            rows += [row] if row else []
    return rows


@pytest.mark.slow
def test_wandb_has_the_curves_each_once(with_wandb, lives):
    outputs = with_wandb.parents[1]
    teacher, student = "teachers/digits-resnet8_w8", "students/infer/convnet3_w32_batchnorm/1"
    assert rows_of(lives[0], teacher) == curves_in(outputs, "teachers", "resnet8_w8")
    assert rows_of(lives[1], student) == curves_in(outputs, "evals", "infer-M2-K3-static-convnet3_w32_batchnorm-1")
    assert rows_of(lives[1], teacher) == rows_of(lives[0], student) == []
    of_group = rows_of(lives[0], "compensators/digits-resnet8_w8-k0-1")
    assert [row["iteration"] for row in of_group] == list(range(20))
    assert of_group[0]["norm"] == 0 < of_group[-1]["norm"]
    assert len(rows_of(lives[1], "students/random_hard/convnet3_w32_batchnorm/0")) > 0


@pytest.mark.slow
def test_wandb_has_the_settings_and_goes_on_as_the_same_run(lives):
    runs = [next(record.run for record in records if record.WhichOneof("record_type") == "run") for records in lives]
    assert {(run.run_id, run.display_name, run.project) for run in runs} == {("a-run", "a-run", "infer")}
    settings = {update.key: json.loads(update.value_json) for update in runs[1].config.update}
    assert settings["K"] == 3 and settings["method"]["iterations"] == 20


@pytest.mark.slow
def test_wandb_has_scores_pictures_and_the_set_with_its_lineage(with_wandb, lives):
    result = result_of(with_wandb)
    summary = {
        item.key or item.nested_key[0]: json.loads(item.value_json)
        for record in lives[1]
        if record.WhichOneof("record_type") == "summary"
        for item in record.summary.update
    }
    assert summary["test/top1"] == result["metrics"]["test/top1"]["mean"]
    assert summary["test/top1/std"] == result["metrics"]["test/top1"]["std"]
    assert (
        summary["baselines/random_hard/test/top1"] == result["baselines"]["random_hard"]["metrics"]["test/top1"]["mean"]
    )
    assert summary["storage/total_bytes"] == result["storage"]["total_bytes"]
    assert len(list(with_wandb.glob("wandb/*/files/media/images/samples_*.png"))) == 2
    *_, artefact = (record for record in lives[1] if "artifact" in str(record.request) or record.HasField("artifact"))
    told = artefact.artifact if artefact.HasField("artifact") else artefact.request.log_artifact.artifact
    metadata = json.loads(told.metadata)
    manifest = json.loads((with_wandb / "distilled" / "manifest.json").read_text())
    assert (
        told.type == "dataset" and told.name == "digits-infer-M2-K3" and metadata["signature"] == manifest["signature"]
    )
    lineage = metadata["lineage"]
    assert list(lineage) == ["teachers", "compensators", "distilled", "labels", "evals"]
    assert lineage["teachers"] == [f"digits-{each['arch']} {each['signature']}" for each in manifest["teachers"]]
    assert lineage["distilled"] == [f"digits-infer-M2-K3 {manifest['signature']}"]
    students = result["sets"]["infer"]["students"]["convnet3_w32_batchnorm"]
    assert [line.split()[1] for line in lineage["evals"]] == students
    assert any(line.split()[1] == manifest["labels"]["signature"] for line in lineage["labels"])


@pytest.mark.slow
def test_tensorboard_has_curves_scores_pictures_and_settings(with_tensorboard):
    script = """
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0}).Reload()
print(json.dumps({
    "scalars": {tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]},
    "images": events.Tags()["images"],
    "hparams": str(events.SummaryMetadata("_hparams_/session_start_info")),
    "text": events.Tensors("distilled/text_summary")[0].tensor_proto.string_val[0].decode(),
}))
"""
    command = [sys.executable, "-c", script, str(with_tensorboard / "tensorboard")]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    scalars, outputs, result = found["scalars"], with_tensorboard.parents[1], result_of(with_tensorboard)
    for tag, history in (
        ("teachers/digits-resnet8_w8", curves_in(outputs, "teachers", "resnet8_w8")),
        ("students/infer/convnet3_w32_batchnorm/0", curves_in(outputs, "evals", "infer-M2-K3-static-convnet3*-0")),
    ):
        assert [step for step, _ in scalars[f"{tag}/train_loss"]] == [row["step"] for row in history]
        values = [value for _, value in scalars[f"{tag}/train_loss"]]
        assert values == pytest.approx([row["train_loss"] for row in history], rel=1e-6)
    assert len(scalars["compensators/digits-resnet8_w8-k0-1/norm"]) == 20
    top1 = scalars["test/top1"][-1][1]
    assert top1 == pytest.approx(result["metrics"]["test/top1"]["mean"], rel=1e-6)
    assert found["images"] == ["accuracy_by_class", "calibration", "confusion", "curves", "samples"]
    assert "method.iterations" in found["hparams"]
    assert "digits-infer-M2-K3" in found["text"]


@pytest.mark.slow
def test_a_tracked_run_has_the_same_numbers(plain, with_wandb):
    assert result_of(with_wandb)["metrics"] == result_of(plain)["metrics"]


@pytest.mark.slow
def test_a_run_whose_tracker_raises_everywhere_ends_as_if_there_were_none(plain, tmp_path):
    words = [*_WORDS, "hydra.run.dir=outputs/runs/a-run", "tracker=wandb"]
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PATH": "", "HOME": str(tmp_path)}
    command = [sys.executable, "-c", _BROKEN, *words]
    finished = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    ours = tmp_path / "outputs" / "runs" / "a-run"
    for key in ("status", "metrics", "per_student", "storage"):
        assert result_of(ours)[key] == result_of(plain)[key]
    warnings = [line for line in (ours / "infer.log").read_text().splitlines() if "warning" in line]
    told = "warning: tracker=wandb failed and gets no more data (OSError: the network is down). The run goes on"
    assert warnings == [told]


@pytest.fixture
def recorded(monkeypatch) -> list:
    """A stub of wandb: the calls of ``init``, and a run that does nothing."""
    calls: list = []

    def init(**given):
        calls.append(given)
        return SimpleNamespace(finish=lambda exit_code: calls.append(exit_code))

    stub = SimpleNamespace(init=init, Settings=lambda **_: None, api=SimpleNamespace(api_key=None))
    monkeypatch.setitem(sys.modules, "wandb", stub)
    return calls


def test_a_job_is_in_the_group_of_its_sweep_under_an_id_of_its_own(make_context, recorded, tmp_path):
    sweep = write_sweep(tmp_path / "20260101-M-lr", {"M": ["1", "2"]})
    for job in ("0-M=1", "1-M=2", "0-M=1"):
        context = make_context("tracker=wandb")
        context.run_folder = sweep / job
        with tracking(context, []):
            pass
    inits = recorded[::2]
    assert recorded[1::2] == [0, 0, 0]
    assert {call["group"] for call in inits} == {"20260101-M-lr"}
    assert [call["name"] for call in inits] == ["0-M=1", "1-M=2", "0-M=1"]
    assert {(call["resume"], call["mode"]) for call in inits} == {("allow", "offline")}
    assert inits[0]["id"] == inits[2]["id"] != inits[1]["id"]
    assert inits[0]["config"]["K"] == 3


@pytest.mark.parametrize("name", ["a-run", "sweep/0-M=1", "sweep/" + "0-student.archs=" + 99 * "x", "é:;,#?/'"])
def test_an_id_is_one_that_wandb_takes(name):
    found = wandb_tracker._id_of(name)
    assert re.fullmatch(r"[\w.-]{1,64}", found, re.ASCII)
    assert found != wandb_tracker._id_of(f"{name}x")


def test_a_tracker_that_does_not_start_is_none(make_context, recorded, monkeypatch, tmp_path):
    monkeypatch.setattr(sys.modules["wandb"], "init", lambda **_: [][0])
    context = make_context("tracker=wandb")
    context.run_folder = tmp_path
    with tracking(context, []) as tracked:
        assert type(tracked._tracker) is Tracker
    assert recorded == []


def test_a_run_that_ends_in_an_error_is_closed_as_one(make_context, recorded, tmp_path):
    context = make_context("tracker=wandb")
    context.run_folder = tmp_path
    with pytest.raises(KeyboardInterrupt), tracking(context, []):
        raise KeyboardInterrupt
    assert recorded[1] == 1 and context.on_obtained is None


def test_what_a_person_has_to_do_is_said_before_the_work(make_context, recorded, monkeypatch):
    check_tracker(make_context("tracker=wandb").config.tracker)
    with pytest.raises(UsageError, match="wandb login"):
        check_tracker(make_context("tracker=wandb", "tracker.mode=online").config.tracker)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"infer-distillation\[tensorboard\]"):
        check_tracker(make_context("tracker=tensorboard").config.tracker)
    with pytest.raises(UsageError, match="there are none, wandb, tensorboard"):
        check_tracker(SimpleNamespace(name="mlflow"))


def test_the_median_of_the_curves():
    curves = {"iteration": np.array([0, 9]), "norm": np.array([[1.0, 2.0, 9.0], [4.0, 5.0, 6.0]])}
    assert medians(curves) == [{"iteration": 0, "norm": 2.0}, {"iteration": 9, "norm": 5.0}]


def test_scores_are_flat():
    top1 = {"mean": 9.0, "std": 1.0, "n": 2, "values": [8.0, 10.0]}
    one = top1 | {"std": None}
    record = {
        "metrics": {"test/top1": top1},
        "per_student": {"a": {"test/top1": top1}, "b": {"test/top1": one}},
        "baselines": {"full": {"metrics": {"test/top1": one}}},
        "storage": {"total_bytes": 5, "leftover_bytes": None},
    }
    assert scores_of(record) == {
        "test/top1": 9.0,
        "test/top1/std": 1.0,
        "b/test/top1": 9.0,
        "baselines/full/test/top1": 9.0,
        "storage/total_bytes": 5,
    }
