"""The store makes an artefact once, checks what it reads and keeps nothing that is half-written."""

import errno
import json
import shutil
from pathlib import Path

import pytest
import torch
from number import Number

from infer.config import Stage
from infer.errors import RunError
from infer.files import canonical_json
from infer.store import MissingArtefact, Store
from infer.store.files import load_tensors, save_tensors


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path, lambda: {"threads": 1})


def test_made_once_then_found(store):
    number = Number(3)
    record, made = store.obtain(number)
    assert made and record["facts"] == {"square": 9} and record["status"] == "done" and record["threads"] == 1
    again = Number(3)
    assert store.obtain(again) == (record, False)
    assert again.times_made == 0
    assert store.folder(number).name == f"number-{number.signature[:8]}"


def test_another_process_finds_it_too(store, tmp_path):
    store.obtain(Number(3))
    record, made = Store(tmp_path).obtain(Number(3))
    assert not made and record["settings"] == {"value": 3}


def test_the_signature_is_a_hash_of_settings_and_parents():
    assert Number(3).signature == Number(3).signature
    assert len({Number(3).signature, Number(4).signature, Number(3, parent=Number(4)).signature}) == 3
    assert Number(3, parent=Number(4)).signature != Number(3, parent=Number(5)).signature


def test_the_signature_does_not_change_by_itself():
    """Fails when artefacts made by an earlier version would no longer be found: then raise ``version``."""
    assert Number(3).signature[:16] == "fb2f94e1bf62b9f8"


def test_canonical_json_has_one_spelling():
    assert canonical_json({"b": 1e-1, "a": Stage.squeeze}) == canonical_json({"a": "squeeze", "b": 0.1})
    with pytest.raises(ValueError):
        canonical_json(float("nan"))
    with pytest.raises(TypeError):
        canonical_json({"path": Path("x")})


def test_not_made_where_only_looked_for(store):
    with pytest.raises(MissingArtefact, match="generate has not been run for number"):
        store.obtain(Number(3), may_make=False)
    assert not store.exists(Number(3))


def test_a_failed_making_leaves_nothing_to_trust(store):
    with pytest.raises(ZeroDivisionError):
        store.obtain(Number(3, fail=ZeroDivisionError()))
    assert not store.exists(Number(3))
    record, made = store.obtain(Number(3))
    assert made and set(record["files"]) == {"value.json"}


def test_a_full_disk_is_one_line_and_leaves_nothing(store, tmp_path):
    with pytest.raises(RunError, match="no space left"):
        store.obtain(Number(3, fail=OSError(errno.ENOSPC, "No space left on device")))
    (making,) = (tmp_path / "numbers").iterdir()
    assert making.name.startswith(".making-") and [path.name for path in making.iterdir()] == ["scratch"]


def test_scratch_outlives_an_interruption_but_not_the_commit(store):
    class Resumable(Number):
        def make(self, workspace):
            marker = workspace.scratch / "half"
            if not marker.exists():
                marker.write_text("half")
                (workspace.folder / "leftover").write_text("of the first try")
                raise KeyboardInterrupt
            return super().make(workspace)

    with pytest.raises(KeyboardInterrupt):
        store.obtain(Resumable(3))
    record, made = store.obtain(Resumable(3))
    assert made
    assert sorted(path.name for path in store.folder(Resumable(3)).iterdir()) == ["record.json", "value.json"]


def test_damage_is_named_where_it_may_not_be_mended(store, tmp_path):
    store.obtain(Number(3))
    (store.folder(Number(3)) / "value.json").write_text("4\n")
    with pytest.raises(MissingArtefact, match="number-.* is damaged: value.json is not what was written"):
        Store(tmp_path).obtain(Number(3), may_make=False)
    assert store.exists(Number(3))


@pytest.mark.parametrize("damage", ["alter", "truncate", "remove", "record", "no record", "signature", "file"])
def test_a_damaged_artefact_is_set_aside_and_made_again(tmp_path, caplog, damage):
    folder = Store(tmp_path).folder(Number(3))
    Store(tmp_path).obtain(Number(3))
    if damage == "alter":
        (folder / "value.json").write_text("4\n")
    elif damage == "truncate":
        (folder / "value.json").write_text("")
    elif damage == "remove":
        (folder / "value.json").unlink()
    elif damage == "record":
        (folder / "record.json").write_text("{")
    elif damage == "no record":
        (folder / "record.json").unlink()
    elif damage == "file":
        shutil.rmtree(folder)
        folder.write_text("a file where a folder should be")
    else:
        record = json.loads((folder / "record.json").read_text()) | {"signature": "0" * 64}
        (folder / "record.json").write_text(json.dumps(record))
    with caplog.at_level("WARNING", logger="infer"):
        record, made = Store(tmp_path).obtain(Number(3))
    assert made and json.loads((folder / "value.json").read_text()) == 3
    assert str(folder) in caplog.text
    assert len(list((tmp_path / "numbers" / ".set-aside").iterdir())) == 1


def test_setting_aside_keeps_the_old_one(store, tmp_path):
    store.obtain(Number(3))
    store.set_aside(Number(3), but_not_of="another order")
    assert store.obtain(Number(3))[1]
    assert len(list((tmp_path / "numbers" / ".set-aside").iterdir())) == 1


def test_what_another_process_made_again_stays(store, tmp_path):
    store.obtain(Number(3))
    other = Store(tmp_path, lambda: {"order": "this one"})
    other.set_aside(Number(3), but_not_of="this one")
    again, made = other.obtain(Number(3))
    store.set_aside(Number(3), but_not_of="this one")
    assert made and store.obtain(Number(3)) == (again, False)


def test_an_artefact_of_a_machine_whose_clock_is_ahead_is_made_again(store, tmp_path):
    ahead = Store(tmp_path, lambda: {"order": "of that machine", "made_at": "2999-01-01T00:00:00+00:00"})
    ahead.obtain(Number(3))
    store.set_aside(Number(3), but_not_of="an order")
    assert store.obtain(Number(3))[1]


def test_tensors_survive_a_round_trip(tmp_path):
    tensors = {"a": torch.arange(6, dtype=torch.uint8).view(2, 3).T, "b": torch.tensor(1.5)}
    save_tensors(tmp_path / "x.safetensors", tensors)
    loaded = load_tensors(tmp_path / "x.safetensors")
    assert all(torch.equal(loaded[name], tensor) for name, tensor in tensors.items())
