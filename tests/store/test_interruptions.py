"""Remains of a killed maker: completed, gone on from or thrown away, never used as they are."""

import json
import shutil

import pytest
from number import Number

from infer.records.artefacts import DamagedArtefact, read_verified_record
from infer.store import Store
from infer.store.making import Making


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path)


def test_a_finished_making_is_committed_although_its_maker_was_killed(store, monkeypatch):
    """Between the record and the rename: nothing is made a second time."""
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Making, "commit", _interrupted)
        store.obtain(Number(3))
    again = Number(3)
    record, made = store.obtain(again)
    assert made and again.times_made == 0 and record["facts"] == {"square": 9}
    assert not list(store.folder(again).parent.glob(".making-*"))


def test_what_is_to_be_made_again_is_not_completed(store, monkeypatch):
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Making, "commit", _interrupted)
        store.obtain(Number(3))
    again = Number(3)
    store.set_aside(again, but_not_of="another order")
    store.obtain(again)
    assert again.times_made == 1


def test_an_unfinished_record_counts_for_nothing(store, monkeypatch):
    """The maker was killed while it wrote the record, which left a temporary file."""

    def killed(path, content):
        (path.parent / ".record.json.abc").write_text("{")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("infer.store.making.write_sealed", killed)
        store.obtain(Number(3))
    again = Number(3)
    record, _ = store.obtain(again)
    assert again.times_made == 1 and set(record["files"]) == {"value.json"}
    assert sorted(path.name for path in store.folder(again).iterdir()) == ["record.json", "value.json"]


def test_foreign_content_of_an_unfinished_making_is_thrown_away(store):
    making = store.folder(Number(3)).parent / f".making-{Number(3).folder_name}"
    (making / "folder" / "inner").mkdir(parents=True)
    (making / "value.json").write_text("4\n")
    (making / "link").symlink_to(store.root, target_is_directory=True)
    (making / "record.json").write_text("{}")
    record, _ = store.obtain(Number(3))
    assert set(record["files"]) == {"value.json"} and store.root.exists()
    assert json.loads((store.folder(Number(3)) / "value.json").read_text()) == 3


class Overtaken(Number):
    """While it is made, another process whose lock did not hold commits the same."""

    def make(self, workspace):
        facts = super().make(workspace)
        other = Store(workspace.folder.parents[1] / "other")
        if not other.exists(self):
            other.obtain(Number(self.value))
            shutil.copytree(other.folder(self), Store(workspace.folder.parents[1]).folder(self))
        return facts


def test_a_whole_folder_that_appears_meanwhile_is_kept(store):
    record, _ = store.obtain(Overtaken(3))
    assert record["facts"] == {"square": 9}
    assert not list(store.folder(Number(3)).parent.glob(".*"))


def test_a_foreign_folder_that_appears_meanwhile_is_not_used(store, caplog):
    class Obstructed(Number):
        def make(self, workspace):
            (store.folder(self) / "anything").mkdir(parents=True)
            return super().make(workspace)

    with pytest.raises(OSError):
        store.obtain(Obstructed(3))
    again = Number(3)
    record, _ = store.obtain(again)
    assert again.times_made == 0 and record["facts"] == {"square": 9}
    assert "record.json is missing: it is set aside" in caplog.text


def test_no_byte_of_a_record_can_change_unnoticed(store):
    """Scores stand in the record alone."""
    number = Number(3)
    record, _ = store.obtain(number)
    path = store.folder(number) / "record.json"
    written = path.read_bytes()
    unnoticed = []
    for position in range(len(written)):
        path.write_bytes(written[:position] + bytes([written[position] ^ 1]) + written[position + 1 :])
        try:
            unnoticed.append(read_verified_record(path.parent, number.signature))
        except DamagedArtefact:
            continue
    assert all(found == record for found in unnoticed)
    assert len(unnoticed) < 0.1 * len(written)  # blanks that became other blanks


def _interrupted(*_):
    raise KeyboardInterrupt
