"""``infer import`` and ``infer export`` as typed: what comes out is read by others, and a round trip loses nothing."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.foreign_writers import MEAN, STD, drawn_images, normalised, write_parquet, write_rded
from PIL import Image
from torchvision.datasets import ImageFolder

import infer
from infer.commands.main import run
from infer.distilled.compose import compose
from infer.distilled.folder import write_composable, write_images, write_labels
from infer.formats.names import FORMATS
from infer.normalisation import Normalisation

NAMES = ["ant", "bee", "cat"]
TARGETS = [0, 1, 2, 2, 1, 0]  # not class by class
IMAGES = drawn_images(6)
SOFT = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
NORMALISATION = Normalisation.of(MEAN, STD)
DATASET = {"name": None, "classes": NAMES, "mean": list(MEAN), "std": list(STD), "image_size": 8, "fingerprint": None}
TYPED = ["--mean", *map(str, MEAN), "--std", *map(str, STD)]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A folder with finished images and soft labels."""
    folder = tmp_path / "made"
    folder.mkdir()
    write_labels(folder, SOFT)
    pixels = torch.from_numpy(IMAGES.transpose(0, 3, 1, 2).copy())
    write_images(folder, pixels, torch.tensor(TARGETS), {"method": "x", "dataset": DATASET, "ipc_charged": 2.0})
    return folder


@pytest.fixture
def names(tmp_path: Path) -> list[str]:
    """Words that name the classes."""
    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    return ["--classes", str(tmp_path / "names.txt")]


def exported(folder: Path, form: str, *words: str) -> Path:
    to = folder.parent / f"as-{form}"
    assert run(["export", str(folder), "--format", form, "--to", str(to), *words]) == 0
    return to


def in_classes(target: int) -> np.ndarray:
    return IMAGES[[row for row, of in enumerate(TARGETS) if of == target]]


@pytest.mark.parametrize(
    ("form", "first"),
    [
        ("sre2l", "new000/class000_id000.png"),
        ("rded", "00000/class00000_id00000.png"),
        ("imagefolder", "ant/00000.png"),
    ],
)
def test_trees_are_what_imagefolder_reads(made, form, first):
    tree = ImageFolder(str(exported(made, form)))
    assert Path(tree.samples[0][0]).relative_to(tree.root).as_posix() == first
    assert tree.targets == [0, 0, 1, 1, 2, 2]
    assert all(np.array_equal(np.asarray(tree[2 * c + i][0]), in_classes(c)[i]) for c in range(3) for i in range(2))


def test_jpeg_is_written_without_subsampling_and_said_to_lose(made, capsys):
    file = exported(made, "sre2l", "--jpeg", "90") / "new001" / "class001_id000.jpg"
    content = io.BytesIO()
    Image.fromarray(in_classes(1)[0]).save(content, "jpeg", quality=90, subsampling="4:4:4")
    assert file.read_bytes() == content.getvalue()
    assert "JPEG of quality 90 changes the pixels" in capsys.readouterr().out


def test_ddranking_gets_normalised_images_class_by_class(made):
    to = exported(made, "ddranking")
    images, labels = (torch.load(to / name, weights_only=True) for name in ("images.pt", "labels.pt"))
    order = [0, 5, 1, 4, 2, 3]
    torch.testing.assert_close(images, normalised(IMAGES[order]), rtol=1e-6, atol=1e-6)
    assert torch.equal(labels, SOFT.half().float()[order])
    assert sorted(path.name for path in to.iterdir()) == ["images.pt", "labels.pt"]


def test_dc_and_initial_images(made):
    (images, targets) = torch.load(exported(made, "dc") / "data.pt", weights_only=True)["data"][-1]
    torch.testing.assert_close(images, normalised(IMAGES), rtol=1e-6, atol=1e-6)
    assert targets.tolist() == TARGETS
    second = torch.load(exported(made, "initial") / "tensor_1.pt", weights_only=True)
    torch.testing.assert_close(second, normalised(IMAGES[[5, 4, 3]]), rtol=1e-6, atol=1e-6)


def test_parquet_has_the_layout_of_hugging_face(made):
    pyarrow_parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow_parquet.read_table(exported(made, "parquet") / "data" / "train-00000-of-00001.parquet")
    features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert features["image"] == {"_type": "Image"}
    assert features["label"] == {"names": NAMES, "_type": "ClassLabel"}
    rows = table.to_pylist()
    assert [row["label"] for row in rows] == TARGETS
    assert rows[4]["image"]["path"] == "class00001_id00001.png"
    decoded = np.stack([np.asarray(Image.open(io.BytesIO(row["image"]["bytes"]))) for row in rows])
    assert np.array_equal(decoded, IMAGES)


@pytest.mark.parametrize("form", list(FORMATS))
def test_a_round_trip_keeps_all_that_the_format_can_hold(made, names, form):
    if form == "parquet":
        pytest.importorskip("pyarrow")
    source = exported(made, form)
    back = made.parent / "back"
    assert run(["import", str(source / "data.pt" if form == "dc" else source), "--to", str(back), *names, *TYPED]) == 0
    before, after = infer.load(made), infer.load(back)
    order = torch.arange(6) if form in ("parquet", "dc") else before.targets.argsort(stable=True)
    order = torch.tensor([0, 1, 2, 5, 4, 3]) if form == "initial" else order
    assert torch.equal(after.images, before.images[order])
    assert torch.equal(after.targets, before.targets[order])
    assert after.classes == NAMES and after.manifest["dataset"]["mean"] == list(MEAN)
    if form in ("parquet", "ddranking", "mtt"):
        assert torch.equal(after.logits, before.logits[order])
    else:
        assert after.logits is None


def test_a_learning_rate_comes_through(tmp_path, names):
    source = tmp_path / "mtt"
    source.mkdir()
    for name, value in (("images", normalised(IMAGES)), ("labels", torch.tensor(TARGETS)), ("lr", torch.tensor(0.25))):
        torch.save(value, source / f"{name}_best.pt")
    assert run(["import", str(source), "--to", str(tmp_path / "in"), *names, *TYPED]) == 0
    assert torch.load(exported(tmp_path / "in", "ddranking") / "lr.pt", weights_only=True) == 0.25


def test_composed_images_keep_their_exact_values_in_tensors_and_are_rounded_in_files(tmp_path, capsys):
    natural = torch.from_numpy(drawn_images(6).transpose(0, 3, 1, 2).copy()).unflatten(0, (2, 3))
    compensators = torch.randn(1, 2, 3, 8, 8)
    folder = tmp_path / "composed"
    folder.mkdir()
    write_composable(folder, natural, compensators, "float32", {"dataset": DATASET, "ipc_charged": 2.7})
    composed = compose(natural, compensators, NORMALISATION)
    order = (torch.arange(12) % 3).argsort(stable=True)
    assert torch.equal(torch.load(exported(folder, "ddranking") / "images.pt", weights_only=True), composed[order])
    capsys.readouterr()
    tree = ImageFolder(str(exported(folder, "rded")))
    assert re.search(r"the largest error is 0\.(49|5)\d* of 255 levels", capsys.readouterr().out)
    exact = (composed * torch.tensor(STD).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1)) * 255
    written = torch.from_numpy(np.stack([np.asarray(image) for image, _ in tree])).permute(0, 3, 1, 2)
    assert (written - exact[order]).abs().max() < 0.5001


def test_a_data_set_gives_names_and_statistics_and_checks_the_order(tmp_path, capsys):
    digits = [str(digit) for digit in range(10)]
    write_rded(tmp_path / "tree", drawn_images(10), range(10))
    assert run(["import", str(tmp_path / "tree"), "--to", str(tmp_path / "in"), "--dataset", "digits"]) == 0
    manifest = infer.load(tmp_path / "in").manifest
    assert manifest["dataset"]["name"] == "digits" and manifest["dataset"]["classes"] == digits
    assert manifest["ipc_charged"] == 1 and manifest["bytes"] == {"natural": 10 * 3 * 8 * 8}
    pytest.importorskip("pyarrow")
    write_parquet(tmp_path / "x.parquet", drawn_images(10), range(10), [*digits[:8], "9", "8"])
    capsys.readouterr()
    assert run(["import", str(tmp_path / "x.parquet"), "--to", str(tmp_path / "y"), "--dataset", "digits"]) == 2
    told = capsys.readouterr().err
    assert "class 8 is '9' there and '8' in digits, the same names in another order" in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "does not name its classes"),
        (["--classes", "nowhere.txt", *TYPED], "nowhere.txt cannot be read"),
        (["--dataset", "digits"], "images of 8x8 pixels"),
        (["--dataset", "nodata"], "there are cifar10"),
        (["dataset.root=x", *TYPED], "Type --dataset NAME"),
        ([*TYPED, "--classes", "nowhere.txt", "dataset.root=x"], "Type --dataset NAME"),
        (["--clases", "nowhere.txt"], "unrecognized arguments: --clases"),
        (["--format", "mtt"], "there is no images_best.pt"),
    ],
)
def test_what_is_missing_is_said_in_a_line(tmp_path, capsys, words, told):
    write_rded(tmp_path / "tree", drawn_images(3, size=9 if words == ["--dataset", "digits"] else 8), [0, 1, 2])
    told = "images of 9x9 pixels" if words == ["--dataset", "digits"] else told
    assert run(["import", str(tmp_path / "tree"), *words, "--to", str(tmp_path / "in")]) == 2
    captured = capsys.readouterr().err
    assert told in captured and captured.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tree"]


def test_nothing_is_overwritten_and_nothing_half_is_left(made, capsys):
    (made.parent / "as-rded").mkdir()
    (made.parent / "as-rded" / "note").touch()
    assert run(["export", str(made), "--format", "rded", "--to", str(made.parent / "as-rded")]) == 2
    assert "not empty" in capsys.readouterr().err
    assert run(["export", str(made), "--format", "dc", "--jpeg", "--to", str(made.parent / "as-dc")]) == 2
    assert "--jpeg has no effect" in capsys.readouterr().err
    assert sorted(path.name for path in made.parent.iterdir()) == ["as-rded", "made"]


def test_a_folder_of_ones_own_needs_no_import(made, capsys):
    assert run(["import", str(made), "--to", str(made.parent / "x")]) == 2
    assert f"infer evaluate {made}" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["import", "export", "evaluate"])
def test_every_command_explains_itself(capsys, command):
    with pytest.raises(SystemExit) as left:
        run([command, "--help"])
    assert left.value.code == 0 and "positional arguments" in capsys.readouterr().out


@pytest.mark.parametrize("quality", ["0", "101", "good"])
def test_a_quality_out_of_range_is_refused(made, capsys, quality):
    words = ["export", str(made), "--format", "rded", "--jpeg", quality, "--to", str(made.parent / "x")]
    assert run(words) == 2
    assert "a quality is a number from 1 to 100" in capsys.readouterr().err
