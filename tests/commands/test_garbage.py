"""infer gc names what no run refers to, and takes it away only when told and only when that is safe."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from filelock import FileLock
from helpers.records import stages, write_json, write_run, write_sweep

from infer.commands.main import run as type_infer

RUN = "20260101-090000-000001-digits-infer-ipc10"


@pytest.fixture
def store(add_artefact, add_run) -> dict[str, Path]:
    """A run that refers to a distilled set, whose parent it does not list, and artefacts that nothing needs."""
    teacher, teacher_folder = add_artefact("teachers", "digits-resnet8")
    distilled, distilled_folder = add_artefact("distilled", "digits-set", parents=[teacher])
    orphan, orphan_folder = add_artefact("teachers", "digits-forgotten", content=b"w" * 2000)
    _, heir_folder = add_artefact("evals", "digits-heir", parents=[orphan])
    add_run(RUN, stages=stages(generate=[distilled]))
    return {"teacher": teacher_folder, "set": distilled_folder, "orphan": orphan_folder, "heir": heir_folder}


def test_lists_and_touches_nothing(infer, store):
    for words in (["gc"], ["gc", "--dry-run"]):
        code, out, _ = infer(*words)
        assert code == 0
        assert store["orphan"].name in out and store["heir"].name in out
        assert store["teacher"].name not in out and store["set"].name not in out
        assert "infer gc --delete" in out
    assert all(folder.is_dir() for folder in store.values())
    listed = json.loads(infer("gc", "--json")[1])
    assert listed["deleted"] is False
    assert listed["bytes"] == sum(f.stat().st_size for key in ("orphan", "heir") for f in store[key].iterdir())


def test_deletes_when_told(infer, store, outputs):
    code, out, _ = infer("gc", "--delete", "--grace", "0")
    assert code == 0 and "2 folders" in out and "deleted" in out
    assert not (outputs / ".trash").exists()
    assert not store["orphan"].exists() and not store["heir"].exists()
    assert store["teacher"].is_dir() and store["set"].is_dir()
    assert (outputs / "runs" / RUN / "result.json").is_file()
    assert infer("gc")[1].startswith("0 folders")
    assert infer("verify")[0] == 0


def test_a_job_that_never_started_stops_nobody(infer, store, outputs):
    write_sweep(outputs / "sweeps" / "20260103-090000-000001-digits-infer", {"M": ["1", "2"]}, changes={1: None})
    assert infer("gc", "--delete")[0] == 0 and not store["orphan"].exists()


def test_set_aside_and_half_made_folders(infer, store, outputs):
    aside = outputs / "teachers" / ".set-aside" / "digits-resnet8-01234567-1"
    making = outputs / "evals" / ".making-digits-student-89abcdef"
    for folder in (aside, making / "scratch"):
        folder.mkdir(parents=True)
        (folder / "x").write_bytes(b"12345")
    out = infer("gc")[1]
    assert "made again" in out and "its maker is gone" in out
    infer("gc", "--delete")
    assert not aside.exists() and not making.exists()


def test_what_is_being_made_stays(infer, store, outputs):
    making = outputs / "evals" / ".making-digits-student-89abcdef"
    making.mkdir()
    (outputs / ".locks").mkdir()
    with FileLock(outputs / ".locks" / "89abcdef01234567.lock"):
        assert ".making" not in infer("gc", "--delete")[1]
        assert making.is_dir()
    assert ".making" in infer("gc")[1]


def test_a_run_whose_plan_is_not_known_forbids_deleting(infer, store, add_run):
    started = "20260102-090000-000002-digits-infer-ipc10"
    add_run(started, "M=1", status="running", stages={})
    code, out, err = infer("gc", "--delete")
    assert (code, out) == (2, "") and f"{started} (running)" in err and err.count("\n") == 1
    assert store["orphan"].is_dir()
    assert started in infer("gc")[1]


@pytest.mark.parametrize("status", ["running", "failed", "interrupted"])
def test_what_an_unfinished_run_plans_stays(infer, store, outputs, add_artefact, add_run, status):
    planned, folder = add_artefact("evals", "digits-planned")
    making = outputs / "evals" / ".making-digits-student-89abcdef"
    making.mkdir()
    plan = {"evaluate": [planned, "89abcdef" + "0" * 56]}
    add_run("20260102-090000-000002-digits-infer-ipc10", "M=1", status=status, stages={}, planned=plan)
    assert infer("gc", "--delete")[0] == 0
    assert folder.is_dir() and making.is_dir() and not store["orphan"].exists()


def test_a_run_that_failed_before_it_had_a_plan_needs_nothing(infer, store, add_run):
    add_run("20260102-090000-000002-digits-infer-ipc10", "M=1", status="failed", stages={})
    assert infer("gc", "--delete")[0] == 0
    assert store["set"].is_dir() and not store["orphan"].exists()


def test_an_unreadable_run_forbids_deleting(infer, store, outputs):
    (outputs / "runs" / RUN / "result.json").write_text("{")
    assert infer("gc", "--delete")[0] == 2
    assert store["set"].is_dir()


@pytest.fixture
def behind(store, outputs, tmp_path) -> Path:
    """The folder on another disk that the orphan, linked into the store, lies in."""
    elsewhere = tmp_path / "disk" / store["orphan"].name
    elsewhere.parent.mkdir()
    store["orphan"].rename(elsewhere)
    store["orphan"].symlink_to(f"../../disk/{elsewhere.name}")
    return elsewhere


def test_of_a_link_nothing_but_the_link_is_counted_and_removed(infer, store, outputs, behind):
    link = store["orphan"]
    (store["heir"] / "linked").symlink_to(behind / "model.safetensors")
    own = {str(path): path.lstat().st_size for path in (link, *store["heir"].iterdir())}
    listed = json.loads(infer("gc", "--json")[1])
    assert listed["folders"][str(link)]["bytes"] == own[str(link)] < 100
    assert listed["bytes"] == sum(own.values())
    assert infer("gc", "--delete")[0] == 0
    (aside,) = (outputs / ".trash").glob(f"*/teachers/{link.name}")
    assert not link.is_symlink() and aside.is_symlink() and aside.resolve() == behind.resolve()
    moved = aside.lstat().st_size - own[str(link)]  # its path is longer: it leads from there to where it led
    freed = json.loads(infer("gc", "--delete", "--grace", "0", "--json")[1])["freed"]
    assert sum(freed.values()) == sum(own.values()) + moved
    assert not (outputs / ".trash").exists() and len(list(behind.iterdir())) == 2


def test_a_link_that_a_run_needs_again_is_put_back(infer, store, outputs, behind, add_run):
    assert infer("gc", "--delete")[0] == 0 and not store["orphan"].is_symlink()
    needed = json.loads((behind / "record.json").read_text())["signature"]
    add_run("20260102-090000-000002-digits-infer-ipc10", stages=stages(generate=[needed]))
    assert infer("gc", "--delete")[0] == 0
    assert store["orphan"].is_symlink() and store["orphan"].resolve() == behind.resolve()


@pytest.mark.parametrize("kind", ["link", "file"])
def test_what_a_person_put_into_the_trash_is_no_folder(infer, store, outputs, tmp_path, kind):
    place = outputs / ".trash" / "20250101-090000"
    place.parent.mkdir()
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "x").write_text("mine")
    place.symlink_to(tmp_path / "kept") if kind == "link" else place.touch()
    code, _, err = infer("gc", "--delete")
    assert (code, err) == (0, "") and not os.path.lexists(place) and (tmp_path / "kept" / "x").read_text() == "mine"


def test_what_is_printed_to_put_it_back_is_typed_as_it_stands(capsys, tmp_path):
    outputs = tmp_path / "of two words"
    write_run(outputs / "runs" / RUN)
    orphan = outputs / "teachers" / "digits-forgotten-01234567" / "record.json"
    write_json(orphan, {})
    assert type_infer(["gc", "--delete", "--outputs", str(outputs)]) == 0 and not orphan.exists()
    command = capsys.readouterr().out.partition("To restore the last one: ")[2].splitlines()[0]
    assert subprocess.run(["bash", "-c", command]).returncode == 0 and orphan.is_file()
