"""Numbers are taken for what they are or refused in one line, at every entrance: settings, sets, labels, weights."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from infer.data.decode import decode_image
from infer.errors import UsageError
from infer.formats.catalogue import find_format
from infer.formats.fkd import read_batch
from infer.formats.foreign_set import as_classes
from infer.models.checkpoints import fitted_weights, read_weights

IMAGES = torch.zeros(6, 3, 8, 8)
TARGETS = torch.tensor([0, 1, 2, 0, 1, 2])
NOT_FINITE = [float("nan"), float("inf"), -float("inf")]


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e999"])
@pytest.mark.parametrize(
    "key",
    [
        "evaluate.lr",
        "evaluate.crop_ratio_max",
        "evaluate.weight_decay",
        "evaluate.temperature",
        "teachers.lr",
        "teachers.min_top1",
        "method.lr",
        "method.bn_weight",
        "method.first_bn_multiplier",
    ],
)
def test_settings_are_finite(resolved, key, value):
    with pytest.raises(UsageError) as refused:
        resolved(f"{key}={value}")
    assert key in str(refused.value) and "\n" not in str(refused.value)


def test_settings_in_lists_and_dictionaries_are_finite(resolved):
    for word in ("evaluate.lr_by_student={default: inf}", "+evaluate.lr_by_student.resnet18=nan"):
        with pytest.raises(UsageError, match="finite"):
            resolved("evaluate=rded_cifar10", word)


def _refusal(path) -> str:
    with pytest.raises(UsageError) as refused:
        name, form = find_format(path)
        form.read(path, 3)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("value", NOT_FINITE)
def test_images_and_soft_labels_are_finite(tmp_path, value):
    soft = torch.zeros(6, 3)
    for images, labels, what in ((IMAGES.clone(), TARGETS, "image 4"), (IMAGES, soft.clone(), "soft label 4")):
        (images if what.startswith("image") else labels)[4].flatten()[0] = value
        torch.save(images, tmp_path / "images.pt")
        torch.save(labels, tmp_path / "labels.pt")
        assert what in _refusal(tmp_path) and "not finite" in _refusal(tmp_path)
    images = IMAGES.clone()
    images[1, 0, 0, 0] = value
    torch.save({"data": [[images, TARGETS]]}, tmp_path / "dc.pt")
    assert "image 1" in _refusal(tmp_path / "dc.pt")
    (tmp_path / "initial").mkdir()
    torch.save(images[:3], tmp_path / "initial" / "tensor_0.pt")
    assert "image 1" in _refusal(tmp_path / "initial")


@pytest.mark.parametrize(
    "labels",
    [TARGETS, TARGETS[:, None], TARGETS.float(), TARGETS.double()[:, None], TARGETS.to(torch.uint8), TARGETS.half()],
    ids=lambda labels: f"{labels.dtype}{list(labels.shape)}",
)
def test_classes_of_any_type_and_of_a_column(tmp_path, labels):
    torch.save(IMAGES, tmp_path / "images.pt")
    torch.save(labels, tmp_path / "labels.pt")
    read = find_format(tmp_path)[1].read(tmp_path, 3)
    assert read.targets.tolist() == TARGETS.tolist() and read.targets.dtype == torch.int64 and read.soft_labels is None


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (TARGETS + 0.7, "0.7"),
        (TARGETS[:, None] + 0.5, "0.5"),
        (torch.full((6,), float("nan")), "nan"),
        (torch.full((6,), float("inf")), "inf"),
        (TARGETS[:, None].expand(6, 2), "[6, 2]"),
        (torch.zeros(6, 1, 2), "[6, 1, 2]"),
        (torch.tensor(1), "[]"),
    ],
)
def test_labels_that_are_no_classes(tmp_path, labels, told):
    torch.save({"data": [[IMAGES, labels]]}, tmp_path / "x.pt")
    assert told in _refusal(tmp_path / "x.pt")
    with pytest.raises(UsageError):
        as_classes(labels, "x")


def _png16() -> tuple[bytes, np.ndarray]:
    values = (np.arange(64, dtype=np.uint16) * 1000).reshape(8, 8)
    content = io.BytesIO()
    Image.fromarray(values).save(content, "PNG")
    return content.getvalue(), np.rint(values / 257).astype(np.uint8)


def _parquet(path, cells, labels):
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    table = pyarrow.table({"image": [{"bytes": cell, "path": "x"} for cell in cells], "label": labels})
    parquet.write_table(table, path)


def test_16_bits_are_scaled_in_a_tree_and_in_parquet(tmp_path):
    content, expected = _png16()
    (tmp_path / "x.png").write_bytes(content)
    _parquet(tmp_path / "x.parquet", [content], [0])
    from_file = decode_image(tmp_path / "x.png", None).pixels
    from_parquet = find_format(tmp_path / "x.parquet")[1].read(tmp_path / "x.parquet", 1).pixels[0].numpy()
    assert (from_file == expected[:, :, None]).all() and (from_parquet == expected[None]).all()


@pytest.mark.parametrize("labels", [[0.7, 1.0], ["cat", "dog"], [0, None], [float("nan"), 1.0]])
def test_parquets_labels_are_classes(tmp_path, labels):
    _parquet(tmp_path / "x.parquet", [_png16()[0]] * 2, labels)
    assert "x.parquet" in _refusal(tmp_path / "x.parquet")


def test_a_damaged_image_in_parquet_is_named(tmp_path):
    _parquet(tmp_path / "x.parquet", [_png16()[0][:40]], [0])
    assert "cannot be read as an image" in _refusal(tmp_path / "x.parquet")


@pytest.mark.parametrize("second", ["module.fc.weight", "_orig_mod.module.fc.weight"])
def test_a_weight_twice_once_wrappers_are_gone(tmp_path, second):
    torch.save({"fc.weight": torch.zeros(2), second: torch.ones(2)}, tmp_path / "c.pth")
    with pytest.raises(UsageError, match=f"two weights called fc.weight, one of them as {second}"):
        read_weights(tmp_path / "c.pth")


def test_a_weight_twice_by_synonyms():
    target = {"fc.weight": torch.zeros(2)}
    with pytest.raises(UsageError, match="two weights"):
        fitted_weights(target, {"fc.weight": torch.zeros(2), "linear.weight": torch.ones(2)}, "c.pth")


@pytest.mark.parametrize("value", NOT_FINITE)
def test_weights_are_finite(tmp_path, value):
    torch.save({"fc.weight": torch.tensor([0.0, value])}, tmp_path / "c.pth")
    with pytest.raises(UsageError, match="fc.weight holds values that are not finite"):
        read_weights(tmp_path / "c.pth")


@pytest.mark.parametrize("value", NOT_FINITE)
def test_crops_and_weights_of_labels_are_finite(tmp_path, value):
    coords, partner = torch.rand(2, 4), torch.tensor([1, 0])
    good = [coords, torch.zeros(2), partner, 0.5, None, torch.zeros(2, 3)]
    for place, content in ((0, coords * value), (3, value)):
        torch.save([*good[:place], content, *good[place + 1 :]], tmp_path / "batch_0.tar")
        with pytest.raises(UsageError, match="batch_0.tar"):
            read_batch(tmp_path / "batch_0.tar")
