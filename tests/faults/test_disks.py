"""Disks that fail: full, read-only, without locks, or cut off from power; each is a sentence, and nothing is lost."""

import errno
import fcntl
import os
import shutil
from pathlib import Path

import pytest

from infer import files
from infer.config import Stage
from infer.errors import InferError, describe
from infer.store import Artefact, Store, making
from infer.store import files as store_files


class Small(Artefact):
    """Two files, of which one lies in the record's care."""

    kind = "smalls"
    stage = Stage.generate
    name = "small"

    def __init__(self, version: int = 1) -> None:
        self.version = version

    @property
    def settings(self):
        return {"value": 3}

    def make(self, workspace):
        for name in ("a.json", "b.json"):
            files.write_json(workspace.folder / name, name)
        return {"answer": 42}


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path)


def failing(number: int):
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "where")

    return fail


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.EIO, errno.ENOSYS], ids=errno.errorcode.get)
def test_locks_that_do_not_work_are_said(store, monkeypatch, number):
    monkeypatch.setattr(fcntl, "flock", failing(number))
    with pytest.raises(InferError, match="cannot be locked on the disk of .*Mount it with locks.*outputs=<folder>"):
        store.obtain(Small())
    monkeypatch.undo()
    assert store.obtain(Small())[1]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT], ids=errno.errorcode.get)
@pytest.mark.parametrize("place", ["write", "flush", "commit"])
def test_a_full_disk_is_one_line_wherever_it_fills_up(store, monkeypatch, number, place):
    """Without space, inodes or quota; the same command makes it afterwards."""
    where, what = {"write": (files.os, "fsync"), "flush": (making, "flush_to_disk"), "commit": (making.os, "rename")}[
        place
    ]
    monkeypatch.setattr(where, what, failing(number))
    with pytest.raises(InferError, match="no space left"):
        store.obtain(Small())
    monkeypatch.undo()
    assert not store.exists(Small())
    record, made = store.obtain(Small())
    assert made and record["facts"] == {"answer": 42}


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EIO, errno.ESTALE], ids=errno.errorcode.get)
def test_another_failure_of_the_disk_is_one_line_with_the_place(store, monkeypatch, number):
    monkeypatch.setattr(files.tempfile, "mkstemp", failing(number))
    with pytest.raises(OSError) as raised:
        store.obtain(Small())
    assert describe(raised.value) == f"the system says: {os.strerror(number)} (where)"
    monkeypatch.undo()
    assert store.obtain(Small())[1]


def test_after_a_power_cut_nothing_counts_that_was_not_flushed(store, monkeypatch):
    """Every file of an artefact and its folder are flushed before the name is given, and the name after it."""
    events: list[tuple[str, str]] = []
    flush, rename, fsync = store_files.flush_to_disk, os.rename, os.fsync
    monkeypatch.setattr(making, "flush_to_disk", lambda path: (events.append(("flush", path.name)), flush(path)))
    monkeypatch.setattr(making.os, "rename", lambda a, b: (events.append(("rename", Path(b).name)), rename(a, b)))
    monkeypatch.setattr(files.os, "fsync", lambda descriptor: (events.append(("fsync", "")), fsync(descriptor)))
    store.obtain(Small())
    folder = store.folder(Small())
    named = events.index(("rename", folder.name))
    flushed = {name for event, name in events[:named] if event == "flush"}
    assert flushed == {path.name for path in folder.iterdir()} | {f".making-{folder.name}"}
    assert events[named + 1 :][0] == ("flush", folder.parent.name)


@pytest.mark.parametrize("lost", ["a.json", "record.json"])
def test_content_that_a_power_cut_took_is_made_again(store, lost, caplog):
    """The rename was written and a file's data was not: disks that flush late leave it empty."""
    store.obtain(Small())
    (store.folder(Small()) / lost).write_bytes(b"")
    again = Store(store.root)
    record, made = again.obtain(Small())
    assert made and record["facts"] == {"answer": 42} and "damaged" in caplog.text


def test_locks_that_are_deleted_while_one_is_held_lose_nothing(store):
    with store._lock(Small()):
        shutil.rmtree(store.root / ".locks")
        other = Store(store.root)
        assert other.obtain(Small())[1]  # the lock of a deleted file holds nobody up
    assert not Store(store.root).obtain(Small())[1]


def test_the_making_of_a_machine_that_is_gone_is_taken_over(store):
    folder = store.folder(Small())
    making = folder.with_name(f".making-{folder.name}")
    (making / "scratch").mkdir(parents=True)
    (making / "half.json").write_text("{")
    record, made = store.obtain(Small())
    assert made and set(record["files"]) == {"a.json", "b.json"} and not making.exists()


def test_two_versions_of_the_program_share_a_store(store):
    """Artefacts of another version, which makes other numbers, have other names."""
    old, new = Small(version=1), Small(version=2)
    assert store.obtain(old)[1] and store.obtain(new)[1]
    assert not store.obtain(old)[1] and not store.obtain(new)[1]
    assert store.folder(old) != store.folder(new)
