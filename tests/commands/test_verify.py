"""infer verify finds every way a stored file can be damaged."""

import json
import shutil
from pathlib import Path

import pytest
from helpers.records import write_json

RUN = "20260101-090000-000001-digits-infer-ipc10"


def test_a_whole_store(infer, add_artefact, add_run):
    add_artefact("teachers", "digits-resnet8")
    add_artefact("evals", "digits-student")
    add_run(RUN)  # its distilled folder carries checksums too
    code, out, _ = infer("verify")
    assert code == 0 and out.startswith("4 records, 14 B checked: all whole; 2 without a checksum of their own")


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda folder: (folder / "model.safetensors").write_bytes(b"weighty"), "is not what was written"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"weigh"), "has 5 bytes instead of 7"),
        (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors is missing"),
        (lambda folder: (folder / "record.json").unlink(), "record.json is missing"),
        (lambda folder: (folder / "record.json").write_text("{"), "record.json cannot be read"),
        (lambda folder: (folder / "record.json").write_text("[]"), "record.json cannot be read"),
        (lambda folder: write_json(folder / "record.json", {"signature": "0" * 64}), "of another artefact"),
        (lambda folder: _rewrite(folder / "record.json", "weights", "wrights"), "record.json is not what was written"),
    ],
)
def test_damage_is_named(infer, add_artefact, damage, fault):
    add_artefact("evals", "digits-student")
    _, folder = add_artefact("teachers", "digits-resnet8")
    damage(folder)
    code, out, _ = infer("verify")
    assert code == 1
    assert str(folder) in out and fault in out and "1 damaged" in out and "digits-student" not in out
    assert list(json.loads(infer("verify", "--json")[1])["damaged"]) == [str(folder)]


def _rewrite(path: Path, old: str, new: str) -> None:
    """Change one value of a record, as a flipped bit would."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_result_that_is_no_record_is_a_row(infer, add_run):
    (add_run(RUN) / "result.json").write_text("[]")
    code, out, _ = infer("verify")
    assert code == 1 and "result.json cannot be read" in out and "1 damaged" in out


def test_a_runs_distilled_set(infer, add_run):
    folder = add_run(RUN)
    write_json(folder / "distilled" / "manifest.json", {"files": {"natural.safetensors": {"sha256": "0", "bytes": 3}}})
    (folder / "distilled" / "natural.safetensors").write_bytes(b"abc")
    code, out, _ = infer("verify", str(folder))
    assert code == 1 and "natural.safetensors is not what was written" in out


def test_one_folder(infer, add_artefact):
    _, damaged = add_artefact("teachers", "digits-resnet8", content=b"a")
    _, whole = add_artefact("evals", "digits-student")
    (damaged / "model.safetensors").write_bytes(b"b")
    assert infer("verify", str(whole))[0] == 0
    assert infer("verify", str(damaged))[0] == 1


def test_what_is_being_made_is_not_damage(infer, add_artefact, outputs):
    _, folder = add_artefact("teachers", "digits-resnet8")
    shutil.copytree(folder, folder.parent / f".making-{folder.name}")
    (folder.parent / f".making-{folder.name}" / "model.safetensors").unlink()
    assert infer("verify")[0] == 0


def test_nothing_to_check_is_an_error(infer, outputs, tmp_path):
    for path in (outputs, tmp_path / "nowhere"):
        code, out, err = infer("verify", str(path))
        assert (code, out) == (2, "") and err.startswith("infer: ")
