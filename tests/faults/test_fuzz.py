"""Readers of foreign and own files on mutated ones: the content, or one line that says what is wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fuzzing import EDITS, JSON_VALUES, VALUES, edited, places_in, replaced
from helpers.foreign_writers import drawn_images, normalised, write_parquet, write_sre2l
from helpers.published_fkd import write_folder as write_fkd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

import infer
from infer.errors import InferError
from infer.formats.catalogue import find_format
from infer.formats.fkd import read_batch
from infer.models import build
from infer.models.checkpoints import read_weights

TARGETS = [0, 0, 1, 1, 2, 2]
IMAGES = drawn_images(len(TARGETS))
FEW, MANY = 30, 4000
"""Mutations of each kind of file in the default suite and with ``-m slow``."""


def _read_set(path: Path) -> None:
    find_format(path)[1].read(path, 3)


def _tree(folder: Path) -> Path:
    write_sre2l(folder, IMAGES, TARGETS)
    return next(folder.rglob("*.png"))


def _parquet(folder: Path) -> Path:
    write_parquet(folder / "set.parquet", IMAGES, TARGETS, ["a", "b", "c"])
    return folder / "set.parquet"


def _fkd(folder: Path) -> Path:
    write_fkd(folder, torch.tensor(TARGETS), "cutmix", batch_size=6, epochs=1)
    return folder / "epoch_0" / "batch_0.tar"


def _own_set(folder: Path) -> Path:
    from infer.distilled.folder import write_images

    dataset = {"name": "x", "classes": ["a", "b", "c"], "mean": [0.5] * 3, "std": [0.2] * 3, "image_size": 8}
    pixels = torch.from_numpy(IMAGES).permute(0, 3, 1, 2).contiguous()
    write_images(folder, pixels, torch.tensor(TARGETS), {"dataset": dataset, "ipc_charged": 2})
    return folder / "manifest.json"


def _tensors(content: Any) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        torch.save(content, folder / "file.pt")
        return folder / "file.pt"

    return write


def _safetensors(folder: Path) -> Path:
    save_file(dict(build("convnet3_w8", 3, 8).state_dict()), folder / "weights.safetensors")
    return folder / "weights.safetensors"


DC = {"data": [[normalised(IMAGES), torch.tensor(TARGETS)]], "accs_all_exps": {}}
CHECKPOINT = {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in build("convnet3_w8", 3, 8).state_dict().items()}}
FILES: dict[str, tuple[Callable[[Path], Path], Callable[[Path, Path], object]]] = {
    "png in a tree": (_tree, lambda folder, file: _read_set(folder)),
    "parquet": (_parquet, lambda folder, file: _read_set(file)),
    "pt of DC": (_tensors(DC), lambda folder, file: _read_set(file)),
    "batch of FKD": (_fkd, lambda folder, file: read_batch(file)),
    "checkpoint": (_tensors(CHECKPOINT), lambda folder, file: read_weights(file)),
    "safetensors": (_safetensors, lambda folder, file: read_weights(file)),
    "manifest": (_own_set, lambda folder, file: infer.load(folder)),
}
"""By what it is: writer of a valid file into a folder, and reader of it."""


def _answers(read: Callable[[], object]) -> None:
    """Let ``read`` succeed or refuse in one line; anything else is a failure."""
    try:
        read()
    except InferError as refusal:
        assert str(refusal) and "\n" not in str(refusal) and "weights_only=False" not in str(refusal)


def _mutations(examples: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def _fuzz_bytes(folder: Path, kind: str, examples: int) -> None:
    write, read = FILES[kind]
    file = write(folder)
    content = file.read_bytes()

    @_mutations(examples)
    @given(edits=EDITS)
    def run(edits: list[tuple[str, float, int]]) -> None:
        file.write_bytes(edited(content, edits))
        _answers(lambda: read(folder, file))

    run()


def _fuzz_values(file: Path, content: Any, values: st.SearchStrategy, write: Callable, read: Callable, examples: int):
    places = places_in(content)

    @_mutations(examples)
    @given(place=st.sampled_from(places), value=values)
    def run(place: tuple[Any, ...], value: Any) -> None:
        write(replaced(content, place, value), file)
        _answers(read)

    run()


@pytest.mark.parametrize("kind", FILES)
def test_bytes_that_changed_are_read_or_refused(tmp_path, kind):
    _fuzz_bytes(tmp_path, kind, FEW)


@pytest.mark.slow
@pytest.mark.parametrize("kind", FILES)
def test_bytes_that_changed_are_read_or_refused_many_times(tmp_path, kind):
    _fuzz_bytes(tmp_path, kind, MANY)


@pytest.fixture(params=["pt of DC", "batch of FKD", "checkpoint", "manifest"])
def nested(request, tmp_path):
    """A file of nested values, its content, its writer and its reader, and the values that may be in it."""
    write, read = FILES[request.param]
    file = write(tmp_path)
    if request.param == "manifest":
        return file, json.loads(file.read_text()), JSON_VALUES, _write_json, lambda: read(tmp_path, file)
    content = torch.load(file, weights_only=False)
    return file, content, VALUES, torch.save, lambda: read(tmp_path, file)


def test_values_of_another_kind_are_read_or_refused(nested):
    _fuzz_values(*nested, examples=4 * FEW)


@pytest.mark.slow
def test_values_of_another_kind_are_read_or_refused_many_times(nested):
    _fuzz_values(*nested, examples=MANY)


def _write_json(content: Any, file: Path) -> None:
    file.write_text(json.dumps(content))
