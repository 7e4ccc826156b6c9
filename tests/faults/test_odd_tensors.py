"""Odd files of tensors and of Parquet: those that can be read are, the others end in a line that names them."""

import io
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from infer.errors import UsageError
from infer.formats.catalogue import find_format
from infer.formats.fkd import read_batch
from infer.formats.foreign_set import ForeignSet
from infer.models.checkpoints import fitted_weights, read_weights

IMAGES = torch.arange(4 * 3 * 8 * 8).reshape(4, 3, 8, 8) / 1000
TARGETS = torch.tensor([0, 0, 1, 1])
NAMES = ["ant", "bee"]


def _read(path: Path) -> ForeignSet:
    return find_format(path)[1].read(path, 2)


def _refusal(read: Callable[[Any], object], path: Path) -> str:
    with pytest.raises(UsageError) as refused:
        read(path)
    told = str(refused.value)
    assert "\n" not in told and str(path) in told
    return told


@pytest.mark.parametrize("content", [[IMAGES, TARGETS], (IMAGES, TARGETS, "more"), {"data": [[IMAGES, TARGETS]]}])
def test_images_and_labels_in_one_file(tmp_path, content):
    torch.save(content, tmp_path / "x.pt")
    found = _read(tmp_path / "x.pt")
    assert torch.equal(found.pixels, IMAGES) and found.targets.tolist() == TARGETS.tolist()


_ODD = {
    "sparse": Tensor.to_sparse,
    "complex": lambda tensor: tensor + 0j,
    "without values": lambda tensor: tensor.to("meta"),
    "8-bit floats": lambda tensor: tensor.to(torch.float8_e4m3fn),
    "list": Tensor.tolist,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("part", ["images", "labels"])
@pytest.mark.parametrize("odd", _ODD.values(), ids=_ODD)
def test_tensors_of_kinds_that_are_not_read(tmp_path, part, odd):
    parts = {"images": IMAGES, "labels": TARGETS} | {part: odd(IMAGES if part == "images" else TARGETS.float())}
    torch.save(list(parts.values()), tmp_path / "x.pt")
    assert f"its {part} are a" in _refusal(_read, tmp_path / "x.pt")


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (IMAGES.long(), TARGETS),
        (IMAGES > 0, TARGETS),
        (torch.zeros(4, 3, 0, 0), TARGETS),
        (IMAGES, torch.zeros(4, 0)),
        (torch.tensor(1.0), TARGETS),
        (IMAGES, TARGETS > 0),
    ],
    ids=["integers", "bits", "no pixels", "no classes", "a number", "true and false"],
)
def test_images_and_labels_that_are_none(tmp_path, images, labels):
    torch.save([images, labels], tmp_path / "x.pt")
    _refusal(_read, tmp_path / "x.pt")


@pytest.mark.parametrize("rate", ["x", torch.ones(3), torch.ones(2, 2), float("nan"), -1, [1], torch.tensor(1j), True])
def test_learning_rates_that_are_none(tmp_path, rate):
    for name, content in (("images", IMAGES), ("labels", TARGETS), ("lr", rate)):
        torch.save(content, tmp_path / f"{name}.pt")
    assert "learning rate" in _refusal(_read, tmp_path)


@pytest.mark.parametrize("item", range(6))
@pytest.mark.parametrize("odd", [torch.eye(4).to_sparse(), "text", [[1], [1, 2]]], ids=["sparse", "text", "lists"])
def test_labels_of_batches_that_are_none(tmp_path, item, odd):
    items = [torch.zeros(4, 4), torch.zeros(4), torch.zeros(4), 0.5, [0, 0, 8, 8], torch.zeros(4, 2)]
    items[item] = odd
    torch.save(items, tmp_path / "batch_0.tar")
    _refusal(read_batch, tmp_path / "batch_0.tar")


STATE = {"conv.weight": torch.ones(2, 3), "conv.bias": torch.zeros(2), "fc.weight": torch.ones(1, 2)}
AVERAGE = {name: value + 1 for name, value in STATE.items()}


def _fitted(path: Path) -> dict[str, Tensor]:
    return fitted_weights(STATE, read_weights(path), str(path))


def _prefixed(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in state.items()}


@pytest.mark.parametrize("prefix", ["model.", "net.", "module.model.", "model._orig_mod.", "network.0.", "backbone."])
@pytest.mark.parametrize("key", ["state_dict", None])
def test_a_prefix_that_all_weights_share_is_left_out(tmp_path, prefix, key):
    state = _prefixed(prefix, STATE)
    torch.save({key: state} if key else state, tmp_path / "x.pth")
    assert {name: value.tolist() for name, value in _fitted(tmp_path / "x.pth").items()} == {
        name: value.tolist() for name, value in STATE.items()
    }


def test_a_prefix_of_the_network_itself_stays(tmp_path):
    state = _prefixed("features.", STATE)
    torch.save(state, tmp_path / "x.pth")
    assert fitted_weights(state, read_weights(tmp_path / "x.pth"), "x").keys() == state.keys()


@pytest.mark.parametrize("prefix", ["", "model."])
def test_the_counter_of_an_averaged_model_is_no_weight(tmp_path, prefix):
    torch.save(_prefixed(prefix, _prefixed("module.", STATE) | {"n_averaged": torch.tensor(3)}), tmp_path / "x.pth")
    assert _fitted(tmp_path / "x.pth").keys() == STATE.keys()


_COUNTED = _prefixed("module.", AVERAGE) | {"n_averaged": torch.tensor(3)}


@pytest.mark.parametrize(
    ("content", "is_average", "key"),
    [
        ({"state_dict": STATE, "state_dict_ema": AVERAGE}, False, "state_dict_ema"),
        ({"model_ema": _COUNTED, "model": STATE}, False, "model_ema"),
        ({"ema": {"state_dict": AVERAGE}, "net": STATE}, False, "ema.state_dict"),
        ({"state_dict": _prefixed("ema_model.", _COUNTED) | _prefixed("model.", STATE)}, False, "state_dict.ema_model"),
        ({"epoch": 3, "model_ema": _COUNTED}, True, "model_ema"),
    ],
)
def test_of_weights_and_their_averages_it_is_said_which_are_read(tmp_path, caplog, content, is_average, key):
    path = tmp_path / "x.pth"
    torch.save(content, path)
    with caplog.at_level(logging.INFO, "infer"):
        found = [_fitted(path), _fitted(path)][1]
    expected = AVERAGE if is_average else STATE
    assert all(torch.equal(found[name], expected[name]) for name in STATE)
    (line,) = (message for message in caplog.messages if str(path) in message)
    assert f"under {key}" in line and ("not the averages" in line) is not is_average


def test_nothing_is_said_where_there_is_nothing_to_choose(tmp_path, caplog):
    torch.save({"state_dict": STATE, "schema": 1}, tmp_path / "x.pth")
    with caplog.at_level(logging.INFO, "infer"):
        _fitted(tmp_path / "x.pth")
    assert caplog.messages == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("kind", "ending"),
    [
        *((kind, "pth") for kind in ("sparse", "complex", "without values", "8-bit floats", "integers", "bits")),
        *((kind, "safetensors") for kind in ("complex", "8-bit floats", "integers", "bits")),
    ],
)
def test_weights_of_kinds_that_are_none(tmp_path, kind, ending):
    odd = _ODD | {"integers": Tensor.int, "bits": Tensor.bool}
    path = tmp_path / f"x.{ending}"
    state = STATE | {"conv.weight": odd[kind](STATE["conv.weight"])}
    if ending == "pth":
        torch.save(state, path)
    else:
        save_file(state, path)
    assert "conv.weight is" in _refusal(_fitted, path)


@pytest.mark.parametrize("content", [{0: torch.ones(1)}, {"state_dict": {}}, {"model": {"model": 3}}])
def test_files_without_weights(tmp_path, content):
    torch.save(content, tmp_path / "x.pth")
    assert "holds no weights" in _refusal(_fitted, tmp_path / "x.pth")


@pytest.mark.parametrize("kind", ["pipe", "folder"])
@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_a_checkpoint_that_is_no_file(tmp_path, kind, ending):
    path = tmp_path / f"x.{ending}"
    if kind == "pipe":
        os.mkfifo(path)
        writer = os.open(path, os.O_RDWR)  # a reader that waits would find an end to wait at: bytes that are no file
        os.write(writer, b"x" * 16)
        _refusal(_fitted, path)
        os.close(writer)
    else:
        path.mkdir()
        _refusal(_fitted, path)


def _png(value: int) -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), value, dtype=np.uint8)).save(content, "png")
    return content.getvalue()


def _write_parquet(file: Path, metadata: object = None, values: tuple[int, ...] = (0, 1), **columns: Any) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    cells = {"image": [{"bytes": _png(value), "path": None} for value in values], "label": [0, 1]} | columns
    table = pyarrow.table({name: cell for name, cell in cells.items() if cell is not None})
    written = metadata if isinstance(metadata, bytes) else json.dumps(metadata)
    file.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table if metadata is None else table.replace_schema_metadata({"huggingface": written}), file)


def _features(names: object = NAMES, image: object = None) -> dict[str, Any]:
    label = {"_type": "ClassLabel", "names": names}
    return {"info": {"features": {"image": image or {"_type": "Image"}, "label": label}}}


_DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda whole: b"",
    "random": lambda whole: np.random.default_rng(0).bytes(1000),
    "truncated": lambda whole: whole[: len(whole) // 2],
    "without its end": lambda whole: whole[:-1],
    "altered pages": lambda whole: whole[:20] + bytes(100) + whole[120:],
}


@pytest.mark.parametrize("damage", _DAMAGES.values(), ids=_DAMAGES)
def test_damaged_parquet(tmp_path, damage):
    _write_parquet(tmp_path / "x.parquet")
    (tmp_path / "x.parquet").write_bytes(damage((tmp_path / "x.parquet").read_bytes()))
    _refusal(_read, tmp_path / "x.parquet")


@pytest.mark.parametrize(
    "metadata",
    [b"{", b"\xff\xfe", b"[" * 100_000, [], {"info": 3}, {"info": {"features": [1]}}],
    ids=["open", "not UTF-8", "deep", "list", "number", "features in a list"],
)
def test_damaged_metadata_of_parquet(tmp_path, metadata):
    _write_parquet(tmp_path / "x.parquet", metadata)
    assert "metadata" in _refusal(_read, tmp_path / "x.parquet")


@pytest.mark.parametrize(
    "names",
    [3, "ab", [1, 2], ["a", "a"], ["a", " "], ["e\u0301", "\u00e9"], ["a", "b" * 300]],
    ids=["number", "text", "numbers", "doubled", "empty", "forms", "long"],
)
def test_class_names_of_parquet_that_are_none(tmp_path, names):
    _write_parquet(tmp_path / "x.parquet", _features(names))
    assert "class" in _refusal(_read, tmp_path / "x.parquet")


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        ("label", [0, None]),
        ("label", [None, None]),
        ("label", ["a", "b"]),
        ("label", None),
        ("image", [None, None]),
        ("image", ["x.png", "y.png"]),
        ("image", [1, 2]),
        ("image", [{"path": "x"}, {"path": "y"}]),
        ("image", None),
        ("logits", [[0.0, 1.0], [1.0]]),
        ("logits", [[0.0, 1.0], None]),
    ],
)
def test_columns_of_parquet_that_are_none(tmp_path, column, cells):
    _write_parquet(tmp_path / "x.parquet", **{column: cells})
    _refusal(_read, tmp_path / "x.parquet")


def test_parquet_without_rows(tmp_path):
    _write_parquet(tmp_path / "x.parquet", image=[], label=[])
    assert "no rows" in _refusal(_read, tmp_path / "x.parquet")


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train.parquet", "test.parquet"),
        ("digits-train.parquet", "digits-test.parquet"),
        ("data/train-00000-of-00001.parquet", "data/validation-00000-of-00001.parquet"),
        ("plain_text/train-00000-of-00001.parquet", "plain_text/test-00000-of-00001.parquet"),
        ("default/train/0000.parquet", "default/test/0000.parquet"),
        ("train/0.parquet", "val/0.parquet"),
    ],
)
def test_the_training_split_of_several_is_read(tmp_path, train, test):
    _write_parquet(tmp_path / test, values=(7, 8))
    _write_parquet(tmp_path / train, _features())
    found = _read(tmp_path)
    assert found.pixels[:, 0, 0, 0].tolist() == [0, 1] and found.classes == NAMES
    assert list(found.notes) == ["1 file of the training split read, 1 file of other splits left out"]


@pytest.mark.parametrize(
    "names",
    [
        ("digits-test.parquet", "digits-val.parquet"),
        ("test/0.parquet", "validation/0.parquet"),
        ("plain_text/train-0.parquet", "other/train-0.parquet"),
        ("train.parquet", "data/train.parquet"),
    ],
)
def test_several_sets_in_parquet_are_listed(tmp_path, names):
    for name in names:
        _write_parquet(tmp_path / name)
    told = _refusal(_read, tmp_path)
    assert all(name in told for name in names)


def test_parts_of_one_split_are_put_together(tmp_path):
    for part in range(2):
        _write_parquet(tmp_path / f"train-{part:05d}-of-00002.parquet", values=(2 * part, 2 * part + 1))
    assert _read(tmp_path).pixels[:, 0, 0, 0].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("second", [{"metadata": _features(NAMES[::-1])}, {"metadata": _features(), "label": None}])
def test_parts_of_two_sets_are_refused(tmp_path, second):
    _write_parquet(tmp_path / "a.parquet", _features())
    _write_parquet(tmp_path / "b.parquet", **second)
    assert "do not belong to one set" in _refusal(_read, tmp_path)


def test_parquet_in_class_folders_of_images_is_no_set(tmp_path):
    _write_parquet(tmp_path / "ant" / "notes.parquet")
    Image.new("RGB", (8, 8)).save(tmp_path / "ant" / "0.png")
    assert find_format(tmp_path)[0] == "imagefolder"
