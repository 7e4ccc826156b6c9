"""Runs that are hard to see: infer gc finds what they need, refuses, or can give it back."""

import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from helpers.records import stages, write_run, write_sweep

from infer.commands import trash

RUN = "20260101-090000-000001-digits-infer-ipc10"


@pytest.fixture
def store(add_artefact, add_run) -> dict[str, Path]:
    """A set that a run needs, of a teacher that the run does not list, an orphan, and another run's set."""
    teacher, teacher_folder = add_artefact("teachers", "digits-resnet8")
    distilled, set_folder = add_artefact("distilled", "digits-set", parents=[teacher])
    other, other_folder = add_artefact("distilled", "digits-other")
    orphan_folder = add_artefact("teachers", "digits-forgotten", content=b"w" * 2000)[1]
    run = add_run(RUN, stages=stages(generate=[distilled]))
    add_run("20260102-090000-000002-digits-random-ipc10", stages=stages(generate=[other]))
    return {"teacher": teacher_folder, "set": set_folder, "other": other_folder, "orphan": orphan_folder, "run": run}


def _needed_is_there(store: dict[str, Path]) -> bool:
    return all(store[name].is_dir() for name in ("teacher", "set", "other"))


@pytest.mark.parametrize(
    "place",
    [
        "runs/20260101-090000-birds/v2-infer-ipc10",
        "runs/last week/good/the one",
        "archive/2026/run",
        "run",
        "runs/.old/run",
        "sweeps/grouped/20260101-090000-000000-M/0-M=1",
        "runs/20260102-090000-000002-digits-random-ipc10/moved into another",
        "teachers/lost/run",
    ],
)
def test_a_run_is_found_wherever_it_lies_below_outputs(infer, store, outputs, place):
    (outputs / place).parent.mkdir(parents=True, exist_ok=True)
    store["run"].rename(outputs / place)
    code, out, _ = infer("gc", "--delete", "--grace", "0")
    assert code == 0 and "2 runs examined" in out
    assert _needed_is_there(store) and not store["orphan"].exists()


def test_a_run_below_a_link_is_found_and_a_link_in_a_circle_ends(infer, store, outputs, tmp_path):
    shutil.move(outputs / "runs", tmp_path / "disk")
    (outputs / "runs").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "again").symlink_to(outputs)
    assert infer("gc", "--delete")[0] == 0
    assert _needed_is_there(store) and not store["orphan"].exists()


def _unmounted(outputs: Path, mount: Path) -> None:
    (outputs / "runs").symlink_to(mount / "runs")


def _mount_point_without_disk(outputs: Path, mount: Path) -> None:
    (outputs / "runs").symlink_to(mount)


def _elsewhere(outputs: Path, mount: Path) -> None:
    pass


def _an_empty_folder(outputs: Path, mount: Path) -> None:
    (outputs / "runs").mkdir()


@pytest.mark.parametrize(
    ("leave", "with_sweep"),  # with a sweep, an empty folder looks like one whose runs were taken away on purpose
    [
        (_unmounted, False),
        (_unmounted, True),
        (_mount_point_without_disk, False),
        (_mount_point_without_disk, True),
        (_elsewhere, False),
        (_an_empty_folder, False),
    ],
)
def test_where_runs_are_gone_nothing_is_touched(infer, store, outputs, tmp_path, leave, with_sweep):
    if with_sweep:
        write_run(outputs / "sweeps" / "20260103-090000-000003-M" / "0-M=1")
    shutil.move(outputs / "runs", tmp_path / "away")
    (tmp_path / "mount").mkdir()
    leave(outputs, tmp_path / "mount")
    code, out, err = infer("gc", "--delete")
    assert (code, out, err.count("\n")) == (2, "", 1) and "unsafe" in err
    assert _needed_is_there(store) and store["orphan"].is_dir()
    assert "infer gc --delete\n" not in infer("gc")[1]


@pytest.mark.parametrize("content", ["[]", '{"planned": []}', '{"stages": {"generate": 1}}', '{"a": 1}', "null", "{"])
def test_a_record_that_is_none_is_refused(infer, store, outputs, content):
    (outputs / "notes").mkdir()
    (outputs / "notes" / "result.json").write_text(content)
    code, _, err = infer("gc", "--delete")
    assert code == 2 and "notes" in err and err.count("\n") == 1
    assert store["orphan"].is_dir()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read_is_refused(infer, store, outputs):
    (outputs / "runs").chmod(0)
    try:
        assert infer("gc", "--delete")[0] == 2
    finally:
        (outputs / "runs").chmod(0o755)
    assert _needed_is_there(store)


def test_an_error_of_the_disk_is_refused(infer, store, outputs, monkeypatch):
    scan = os.scandir

    def failing(path):
        if Path(path).name == "runs":
            raise OSError(107, "Transport endpoint is not connected", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", failing)
    code, _, err = infer("gc", "--delete")
    monkeypatch.undo()
    assert code == 2 and "Transport endpoint" in err and _needed_is_there(store)


def test_parents_of_a_damaged_artefact_are_not_known(infer, store):
    (store["set"] / "record.json").write_text("{")
    code, _, err = infer("gc", "--delete")
    assert code == 2 and store["set"].name in err and store["teacher"].is_dir()


def test_a_folder_without_a_record_is_no_artefact(infer, store, outputs):
    own = outputs / "my notes" / "paper-0123abcd"
    own.mkdir(parents=True)
    (own / "draft.txt").write_text("x")
    assert infer("gc", "--delete")[0] == 0 and own.is_dir()


def test_what_is_set_aside_waits_and_can_be_put_back(infer, store, outputs):
    code, out, _ = infer("gc", "--delete")
    (aside,) = (outputs / ".trash").iterdir()
    place = aside / "teachers" / store["orphan"].name
    assert code == 0 and place.is_dir() and not store["orphan"].exists()
    assert "infer gc --delete --grace 0" in out and f"cp -rn {aside}/. {outputs}/" in out
    assert infer("gc", "--delete", "--grace", "0.5")[0] == 0 and place.is_dir()
    old = aside.with_name((datetime.now(UTC) - timedelta(days=8)).strftime("%Y%m%d-%H%M%S"))
    aside.rename(old)
    assert infer("gc", "--delete", "--grace", "9")[0] == 0 and old.is_dir()
    freed = json.loads(infer("gc", "--json")[1])["freed"]
    assert freed == {str(old): trash_bytes(old)}
    assert infer("gc", "--delete")[0] == 0 and not (outputs / ".trash").exists()


def trash_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_what_a_run_needs_again_comes_back_instead_of_being_deleted(infer, store, outputs, tmp_path):
    shutil.move(store["run"], tmp_path / "lent")
    assert infer("gc", "--delete")[0] == 0 and not store["set"].exists()
    shutil.move(tmp_path / "lent", store["run"])
    assert infer("gc", "--delete", "--grace", "0")[0] == 0
    assert store["set"].is_dir() and infer("verify")[0] == 0
    assert infer("gc", "--delete", "--grace", "0")[0] == 0
    assert _needed_is_there(store)


def test_another_disk_has_a_trash_of_its_own(store, outputs, monkeypatch):
    rename = Path.rename

    def across(self, target):
        if Path(target).is_relative_to(outputs / ".trash"):
            raise OSError(18, "Invalid cross-device link")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", across)
    place = trash.set_aside(store["orphan"], outputs, datetime.now(UTC))
    assert place.is_relative_to(outputs / "teachers" / ".trash") and place.is_dir()
    assert not (outputs / ".trash").exists()
    ((folder, root),) = trash.trash_folders(outputs)
    assert trash.put_back(place, folder, root) and store["orphan"].is_dir()


@pytest.mark.parametrize("grace", ["-1", "nan", "inf"])
def test_a_grace_period_is_a_number_of_days(infer, store, grace):
    assert infer("gc", "--delete", f"--grace={grace}")[0] == 2 and store["orphan"].is_dir()


def test_rm_sets_a_run_aside_and_gc_then_frees_what_it_needed(infer, store, outputs):
    code, out, _ = infer("rm", RUN)
    assert code == 0 and not store["run"].exists() and "infer gc --delete" in out
    (aside,) = (outputs / ".trash").iterdir()
    assert (aside / "runs" / RUN / "result.json").is_file() and _needed_is_there(store)
    assert RUN not in infer("ls")[1]
    assert infer("gc", "--delete", "--grace", "0")[0] == 0
    assert not store["set"].exists() and not store["teacher"].exists() and store["other"].is_dir()


def test_rm_takes_a_sweep_whole(infer, store, outputs, add_run):
    sweep = "20260103-090000-000003-M"
    for job in ("0-M=1", "1-M=2"):
        add_run(f"{sweep}/{job}")
    assert infer("rm", sweep)[0] == 0 and not (outputs / "sweeps" / sweep).exists()


def test_a_job_that_rm_took_is_not_lost(infer, outputs):
    sweep = write_sweep(outputs / "sweeps" / "20260103-090000-000003-M", {"M": ["1", "2"]})
    assert infer("rm", f"{sweep.name}/1-M=2")[0] == 0 and not (sweep / "1-M=2").exists()
    out = infer("table", sweep.name)[1]
    assert "lost" not in out and "removed" in out
    shutil.copytree(sweep / "0-M=1", sweep / "1-M=2")  # as the same command makes it again
    assert "removed" not in infer("table", sweep.name)[1]


@pytest.mark.parametrize("word", ["1-M=2", "20260103-090000-000003-M/1-M=2", "M/1-M=2"])
def test_rm_of_a_job_leaves_its_sweep(infer, outputs, word):
    sweep = write_sweep(outputs / "sweeps" / "20260103-090000-000003-M", {"M": ["1", "2"]})
    assert infer("rm", word)[0] == 0
    assert not (sweep / "1-M=2").exists() and (sweep / "0-M=1").is_dir()


@pytest.mark.parametrize("word", [".", "..", "./", "./.."])
def test_rm_of_this_folder_is_not_that_of_a_run_with_a_dot(infer, outputs, word):
    sweep = write_sweep(outputs / "sweeps" / "20260103-090000-000003-lr", {"evaluate.lr": ["0.1"]})
    code, _, err = infer("rm", word)
    assert code == 2 and "is the folder of neither a run" in err and (sweep / "0-evaluate.lr=0.1").is_dir()


def test_rm_does_not_choose_between_copies_of_a_sweep(infer, outputs):
    sweep = write_sweep(outputs / "sweeps" / "20260103-090000-000003-M", {"M": ["1", "2"]})
    copy = outputs / "sweeps" / "old" / sweep.name
    shutil.copytree(sweep, copy)
    for word in (sweep.name, "1-M=2"):
        code, _, err = infer("rm", word)
        assert code == 2 and str(copy) in err and "Type one of them" in err
    assert infer("rm", str(copy))[0] == 0 and sweep.is_dir() and not copy.exists()


def test_of_a_removed_job_it_is_said_that_it_was(infer, outputs):
    sweep = write_sweep(outputs / "sweeps" / "20260103-090000-000003-M", {"M": ["1", "2"]})
    assert infer("rm", "1-M=2")[0] == 0
    for word in ("1-M=2", f"{sweep.name}/1-M=2", str(sweep / "1-M=2")):
        for command in ("show", "rm", "report"):
            code, _, err = infer(command, word)
            assert code == 2 and "set aside by infer rm" in err, err
    assert infer("watch", sweep.name)[0] == 0 and infer("report", sweep.name)[0] == 0  # that was meant


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("part", [RUN, "distilled"])
def test_rm_moves_no_link_and_leaves_the_files_behind_it(infer, store, outputs, tmp_path, part, inside):
    """The run was moved to another disk, or its set was."""
    link = store["run"] if part == RUN else store["run"] / part
    elsewhere = (outputs if inside else tmp_path) / "elsewhere"
    link.rename(elsewhere)
    link.symlink_to(elsewhere)
    code, out, err = infer("rm", RUN)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"{link} is a link to {elsewhere}, where the files would stay. Type rm {link} to remove the link" in err
    assert (f"infer rm {elsewhere} --outputs {outputs}" in err) is (inside and part == RUN)
    assert link.is_symlink() and list(elsewhere.iterdir()) and not (outputs / ".trash").exists()
    link.unlink()
    if part == "distilled":
        assert infer("rm", RUN)[0] == 0 and not store["run"].exists()
    elif inside:
        assert infer("rm", str(elsewhere))[0] == 0 and not elsewhere.exists()


def test_rm_of_a_sweep_with_a_job_behind_a_link(infer, outputs, tmp_path):
    sweep = write_sweep(outputs / "sweeps" / "20260103-090000-000003-M", {"M": ["1", "2"]})
    (sweep / "1-M=2").rename(tmp_path / "moved")
    (sweep / "1-M=2").symlink_to(tmp_path / "moved")
    for word in (sweep.name, "1-M=2"):
        code, _, err = infer("rm", word)
        assert code == 2 and f"is a link to {tmp_path / 'moved'}" in err and "yours to delete" in err
    assert (sweep / "0-M=1").is_dir() and (tmp_path / "moved" / "result.json").is_file()


def test_rm_refuses_what_is_no_run_or_not_at_rest(infer, store, outputs, add_run):
    busy = add_run("20260104-090000-000004-digits-infer-ipc10", status="running")
    shutil.copytree(store["run"], store["run"] / "inner")
    for words, says in (
        (["rm", "nothing"], "no run"),
        (["rm", str(outputs)], str(outputs)),
        (["rm", str(outputs / "teachers")], "teachers"),
        (["rm", busy.name], "is running"),
        (["rm", RUN], "holds another run"),
    ):
        code, _, err = infer(*words)
        assert code == 2 and says in err and err.count("\n") == 1, words
    assert busy.is_dir() and store["run"].is_dir()
    assert infer("rm", "--force", busy.name)[0] == 0 and not busy.exists()


def test_runs_one_folder_deeper_are_listed(infer, store, outputs):
    (outputs / "runs" / "good").mkdir()
    store["run"].rename(outputs / "runs" / "good" / RUN)
    assert f"good/{RUN}" in infer("ls")[1]
    assert infer("show", f"good/{RUN}")[0] == 0
