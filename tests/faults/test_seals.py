"""Seals: what was changed after it was written is neither listed as a fact nor used."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers.records import record_of
from PIL import Image

import infer
from infer.commands.launch_words import label_hint
from infer.commands.main import run as infer_command
from infer.config.dataset import FolderConfig
from infer.data import load
from infer.distilled.fkd import LOGITS
from infer.distilled.fkd_files import fkd_file
from infer.distilled.folder import write_composable, write_images, write_labels
from infer.errors import UsageError
from infer.evaluation.comparison import main_evaluation
from infer.files import read_json, sealed, write_json, write_sealed
from infer.methods.imported import imported_set
from infer.pipeline.run_folder import write_distilled_folder
from infer.records.artefacts import DamagedArtefact, stored_artefacts
from infer.records.run import UNREADABLE, Run
from infer.records.sweeps import PlannedJob, SweepRecord, read_sweep
from infer.reports.run import write_page
from infer.store.files import save_tensors

RUN = "20260101-090000-000001-digits-infer-ipc10"


@pytest.fixture
def outputs(tmp_path) -> Path:
    """Outputs with one run, whose record is sealed."""
    folder = tmp_path / "outputs" / "runs" / RUN
    folder.mkdir(parents=True)
    write_sealed(folder / "result.json", record_of("", [97.0, 98.0, 99.0]))
    return tmp_path / "outputs"


def forge(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def alter(path: Path, change: Callable[[dict], object]) -> None:
    """Change the content of a JSON file as an editor does: the seal stays what it was."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def answer(capsys, *words: str) -> tuple[int, str]:
    code = infer_command(words)
    return code, capsys.readouterr().out


def test_a_forged_score_is_no_fact(outputs, capsys):
    assert Run(RUN, outputs / "runs" / RUN).score("test/top1")["mean"] == 98.0
    forge(outputs / "runs" / RUN / "result.json", '"mean": 98.0', '"mean": 99.9')
    run = Run(RUN, outputs / "runs" / RUN)
    assert run.state == UNREADABLE and run.score("test/top1") is None
    for words in (["ls"], ["table", RUN], ["show", RUN]):
        _, out = answer(capsys, *words, "--outputs", str(outputs))
        assert "99.9" not in out and ("not what was written" in out or UNREADABLE in out)
    code, out = answer(capsys, "verify", str(outputs))
    assert code == 1 and "result.json is not what was written" in out


def test_a_record_of_an_earlier_version_is_read_and_told_apart(outputs, capsys):
    write_json(outputs / "runs" / RUN / "result.json", record_of("", [97.0]))
    assert Run(RUN, outputs / "runs" / RUN).score("test/top1")["mean"] == 97.0
    code, out = answer(capsys, "verify", str(outputs))
    assert code == 0 and "1 without a checksum of their own" in out


@pytest.fixture
def own_set(tmp_path) -> Path:
    folder = tmp_path / "set"
    folder.mkdir()
    dataset = {"name": "x", "classes": ["a", "b"], "mean": [0.5] * 3, "std": [0.2] * 3, "image_size": 8}
    images = torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8)
    write_images(folder, images, torch.tensor([0, 0, 1, 1]), {"dataset": dataset, "ipc_charged": 2})
    return folder


@pytest.mark.parametrize(("old", "new"), [("0.2", "0.3"), ('"a"', '"z"'), ('"ipc_charged": 2', '"ipc_charged": 1')])
def test_a_changed_manifest_gives_no_images(own_set, old, new):
    infer.load(own_set)
    forge(own_set / "manifest.json", old, new)
    with pytest.raises(UsageError, match="manifest.json is damaged .it is not what was written.*Make the set again"):
        infer.load(own_set)


def test_files_that_a_manifest_does_not_name_are_not_read(own_set):
    before = infer.load(own_set)
    torch.save(torch.zeros(4, 2), own_set / "labels.pt")
    (own_set / "labels.safetensors").write_bytes((own_set / "images.safetensors").read_bytes())
    after = infer.load(own_set)
    assert after.logits is None and torch.equal(before.images, after.images)


@pytest.fixture
def composable(tmp_path) -> Path:
    """A set of natural images and compensators with soft labels, of the data set digits."""
    folder = tmp_path / "composable"
    folder.mkdir()
    dataset = {"name": "digits", "classes": [str(n) for n in range(10)], "mean": [0.5] * 3, "std": [0.25] * 3}
    write_labels(folder, torch.eye(10).repeat(2, 1))
    natural = torch.randint(0, 256, (1, 10, 3, 8, 8), dtype=torch.uint8)
    manifest = {"method": "infer", "dataset": dataset, "ipc_charged": 1.1}
    write_composable(folder, natural, torch.randn(1, 1, 3, 8, 8), "int8", manifest)
    return folder


def test_stray_files_make_no_other_set_of_an_imported_one(composable, make_context):
    context = make_context("method=random", "K=null")
    signature = imported_set(context, str(composable), "auto").signature
    stray = {"images": torch.zeros(3, 3, 8, 8, dtype=torch.uint8), "targets": torch.zeros(3, dtype=torch.int64)}
    save_tensors(composable / "images.safetensors", stray)
    save_tensors(composable / fkd_file(0, LOGITS), {"logits": torch.zeros(1)})
    assert imported_set(context, str(composable), "auto").signature == signature
    assert label_hint(composable, []) == label_hint(composable, ["seed=1"]) and "static" in label_hint(composable, [])


def test_stray_labels_and_compensators_are_not_imported(own_set, composable, make_context):
    for name in ("labels", "natural", "compensators"):
        shutil.copyfile(composable / f"{name}.safetensors", own_set / f"{name}.safetensors")
    alter(own_set / "manifest.json", lambda content: content["dataset"].update(classes=[str(n) for n in range(10)]))
    alter(own_set / "manifest.json", lambda content: content.pop("sha256"))
    found = imported_set(make_context("method=random", "K=null"), str(own_set), "auto")
    assert found.num_images == 4 and found.soft_labels is None and found.soft_label_settings == {}
    assert label_hint(own_set, []) is None


def test_stray_files_of_the_store_are_not_copied_into_a_run(tmp_path, make_context):
    context = make_context("method=random", "K=null", "ipc=2", "labeling=hard", "seed=5")
    context.run_folder = tmp_path
    evaluation = main_evaluation(context)
    stored = context.folder(evaluation.labelled.images)
    save_tensors(stored / "labels.safetensors", {"logits": torch.zeros(20, 10)})
    written = write_distilled_folder(context, evaluation)
    assert sorted(path.name for path in written.iterdir()) == ["images.safetensors", "manifest.json"]


def test_numbers_are_not_compared_where_the_data_are_not_sure(outputs, capsys):
    other = outputs / "runs" / RUN.replace("0101", "0102")
    shutil.copytree(outputs / "runs" / RUN, other)
    for folder in (outputs / "runs" / RUN, other):
        (folder / "distilled").mkdir()
        write_sealed(folder / "distilled" / "manifest.json", {"dataset": {"fingerprint": "1" * 64}})
    assert answer(capsys, "diff", RUN, other.name, "--outputs", str(outputs))[0] == 0
    forge(other / "distilled" / "manifest.json", "1" * 64, "0" * 64)
    code, out = answer(capsys, "diff", RUN, other.name, "--outputs", str(outputs))
    assert code == 0 and "CONTENTS OF THE DATA SET" in out and f"{other.name}: its manifest.json is damaged" in out


def test_changed_robust_scores_are_not_reported(outputs):
    run = Run(RUN, outputs / "runs" / RUN)
    write_sealed(run.folder / "score.json", {"scores": {"LRS": {"mean": 0.25, "std": None, "n": 1}}})
    assert "0.2500" in write_page(run, outputs).read_text()
    forge(run.folder / "score.json", "0.25", "0.75")
    page = write_page(run, outputs).read_text()
    assert "0.7500" not in page and "score.json cannot be read: it is not what was written" in page


def test_a_changed_plan_of_a_sweep_is_refused(outputs, capsys):
    folder = outputs / "sweeps" / "20260101-090000-M"
    SweepRecord(swept={"M": ["1", "2"]}, jobs=[PlannedJob(0, "0-M=1", ["M=1"])]).write(folder)
    assert answer(capsys, "verify", str(outputs))[0] == 0
    forge(folder / "sweep.json", '"0-M=1"', '"0-M=7"')
    assert answer(capsys, "verify", str(outputs))[0] == 1
    with pytest.raises(UsageError, match="sweep.json cannot be read: it is not what was written"):
        read_sweep(folder)


def test_a_changed_record_of_an_artefact_is_not_read_for_reports(tmp_path):
    signature = "0123abcd" * 8
    record = tmp_path / "analyses" / f"digits-{signature[:8]}" / "record.json"
    write_sealed(record, {"signature": signature, "files": {}, "facts": {"norm_ratio": 0.5}})
    assert stored_artefacts(tmp_path, [signature])[signature].record["facts"] == {"norm_ratio": 0.5}
    forge(record, "0.5", "0.9")
    with pytest.raises(DamagedArtefact, match="not what was written"):
        stored_artefacts(tmp_path, [signature])


def test_verify_looks_at_everything_that_a_number_rests_on(outputs, composable, capsys):
    run, cache = outputs / "runs" / RUN, outputs / ".cache" / f"{'0' * 64}.json"
    shutil.copytree(composable, run / "distilled")
    write_sealed(run / "score.json", {"scores": {}})
    write_sealed(cache, {"facts": {}})
    write_json(outputs / ".cache" / "timings.json", {})
    code, out = answer(capsys, "verify", str(outputs))
    assert code == 0 and out.startswith("4 records, ") and out.endswith("all whole\n")
    changed = [run / "result.json", run / "score.json", run / "distilled" / "manifest.json", cache]
    for path in changed:
        alter(path, lambda content: content.update(stray=1))
    named = {str(path.parent if path.name == "manifest.json" else path) for path in changed}
    code, out = answer(capsys, "verify", str(outputs), "--json")
    damaged = json.loads(out)["damaged"]
    assert code == 1 and damaged.keys() == named and all("not what was written" in fault for fault in damaged.values())
    elsewhere = outputs.rename(outputs.with_name("other disk"))
    outputs.mkdir()
    for part in ("runs", ".cache"):
        (outputs / part).symlink_to(elsewhere / part)
    (outputs / "runs" / "loop").symlink_to(outputs / "runs")
    assert json.loads(answer(capsys, "verify", str(outputs), "--json")[1])["damaged"].keys() == named


@pytest.fixture
def tree(tmp_path) -> Path:
    for split in ("train", "test"):
        for name in ("crane", "rail"):
            (tmp_path / "birds" / split / name).mkdir(parents=True)
            for number in range(3):
                Image.new("RGB", (8, 8), (number, len(name), 7 * number)).save(
                    tmp_path / f"birds/{split}/{name}/{number}.bmp"
                )
    return tmp_path / "birds"


def fingerprint(tree: Path) -> str:
    config = FolderConfig(name="birds", root=str(tree))
    return load(config, cache_dir=tree.parent / "cache", threads=1).fingerprint


def test_an_image_replaced_with_size_and_time_of_the_old_one_is_seen(tree):
    before, image = fingerprint(tree), tree / "test" / "rail" / "0.bmp"
    status = image.stat()
    Image.new("RGB", (8, 8), (9, 9, 9)).save(image)
    os.utime(image, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert image.stat().st_size == status.st_size and image.stat().st_mtime_ns == status.st_mtime_ns
    assert fingerprint(tree) != before


@pytest.mark.parametrize("is_sealed", [True, False], ids=["changed", "rewritten"])
def test_a_forged_cache_is_measured_again(tree, is_sealed):
    before = fingerprint(tree)
    (cache,) = (tree.parent / "cache").glob("*.json")
    content = read_json(cache)
    content["facts"]["fingerprint"] = "0" * 64
    cache.write_text(json.dumps(content if is_sealed else content["facts"]))
    assert fingerprint(tree) == before
    assert read_json(cache) == sealed(read_json(cache))
