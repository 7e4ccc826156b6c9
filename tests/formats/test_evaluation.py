"""``infer evaluate``: the command line that it stands for, and students trained on what another tool wrote."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers.foreign_writers import drawn_images, write_sre2l

from infer.commands.launch_words import label_hint, launch_words
from infer.commands.main import run
from infer.distilled.folder import write_images
from infer.errors import UsageError
from infer.evaluation.comparison import main_evaluation
from infer.files import write_sealed

ROOT = Path(__file__).resolve().parents[2]


def own_folder(path: Path, dataset_name: str | None) -> Path:
    path.mkdir()
    dataset = {"name": dataset_name, "classes": ["a"], "mean": [0.5] * 3, "std": [0.5] * 3}
    manifest = {"dataset": dataset, "ipc_charged": 3.6}
    write_images(path, torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.tensor([0]), manifest)
    return path


def test_a_folder_of_ones_own_says_its_data_set_and_size(tmp_path):
    folder = own_folder(tmp_path / "set", "cifar10")
    expected = ["method=imported", f"method.path={folder}", "dataset=cifar10", "ipc=4", "labeling=hard"]
    assert launch_words(folder, ["labeling=hard"]) == expected
    assert launch_words(folder, ["dataset=digits", "ipc=9"])[2:] == ["dataset=digits", "ipc=9"]


@pytest.mark.parametrize("name", ["with space", "it's", "a,b=c", "back\\slash", "{x}", "\\'\\"])
def test_any_path_survives_the_command_line(tmp_path, resolved, name):
    folder = own_folder(tmp_path / name, "digits")
    assert resolved(*launch_words(folder, [])).method.path == str(folder)


@pytest.mark.parametrize(
    ("dataset_name", "told"),
    [(None, "does not say which data set"), ("birds", "the data set 'birds', and there is no choice")],
)
def test_without_a_data_set_the_line_says_what_to_type(tmp_path, dataset_name, told):
    folder = own_folder(tmp_path / "set", dataset_name)
    with pytest.raises(UsageError, match=told) as caught:
        launch_words(folder, [])
    assert f"infer evaluate {folder} dataset=<name>, one of cifar10" in str(caught.value)


def test_a_run_is_named_as_elsewhere(tmp_path, monkeypatch, capsys):
    own_folder_of_run = tmp_path / "outputs" / "runs" / "20260101-000000-000000-digits-infer-ipc4"
    own_folder_of_run.mkdir(parents=True)
    (own_folder_of_run / "result.json").write_text("{}")
    own_folder(own_folder_of_run / "distilled", "digits")
    monkeypatch.setattr("infer.cli.main", lambda: sys.exit(0))
    monkeypatch.setattr(sys, "argv", [])
    with pytest.raises(SystemExit):
        run(["evaluate", "digits-infer", "--outputs", str(tmp_path / "outputs"), "labeling=hard"])
    assert sys.argv[2] == f"method.path={own_folder_of_run}" and sys.argv[-1] == f"outputs={tmp_path / 'outputs'}"


@pytest.mark.parametrize(
    ("file", "mode"), [("labels.safetensors", "static"), ("fkd-00000-logits.safetensors", "fkd"), ("x", None)]
)
def test_labels_that_lie_with_a_set_are_mentioned(tmp_path, file, mode):
    folder = own_folder(tmp_path / "set", "digits")
    (folder / file).touch()
    assert label_hint(folder, ["labeling=hard"]) is None, "its manifest does not list the file"
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][file] = {"sha256": "0" * 64, "bytes": 0}
    write_sealed(folder / "manifest.json", manifest)
    words = f"labeling={mode} labeling.source=set"
    hint = label_hint(folder, ["labeling=hard"])
    assert hint is None if mode is None else hint.endswith(words)
    assert label_hint(folder, words.split()) is None


def test_folders_of_labels_alone_are_told_from_images(tmp_path, make_context):
    (tmp_path / "epoch_0").mkdir()
    (tmp_path / "epoch_0" / "batch_0.tar").touch()
    with pytest.raises(UsageError, match=f"and labeling=fkd labeling.path={tmp_path} beside it"):
        main_evaluation(make_context("method=imported", f"method.path={tmp_path}", "K=null"))


def test_the_help_says_how_to_use_labels_that_were_made_elsewhere(capsys):
    with pytest.raises(SystemExit):
        run(["evaluate", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    for words in ("labeling=static labeling.source=set", "labeling=fkd labeling.source=set", "labeling.path=FOLDER"):
        assert words in told


def test_what_is_not_there_is_said(tmp_path, capsys):
    assert run(["evaluate", str(tmp_path / "nothing")]) == 2
    assert "nothing does not exist" in capsys.readouterr().err


@pytest.mark.slow
def test_students_are_trained_on_what_another_tool_wrote(tmp_path):
    write_sre2l(tmp_path / "tree", drawn_images(20), [*range(10), *range(10)])
    short = ["dataset=digits", "labeling=hard", "baselines=[]", "evaluate.steps=20", "evaluate.repeats=1"]
    finished = subprocess.run(
        [sys.executable, "-c", "from infer.commands.main import main; main()", "evaluate", "tree", *short],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.startswith(
        f"python launch.py method=imported method.path={tmp_path / 'tree'} dataset=digits"
    )
    (run,) = (tmp_path / "outputs" / "runs").iterdir()
    assert run.name.endswith("-digits-imported")  # of what size is in its record, where it was counted
    record = json.loads((run / "result.json").read_text())
    assert record["status"] == "done" and record["storage"]["natural_bytes"] == 20 * 3 * 8 * 8
    assert record["stages"]["squeeze"]["made"] == 0 and record["metrics"]["test/top1"]["n"] == 1
