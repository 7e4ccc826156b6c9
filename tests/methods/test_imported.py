"""``method=imported``: other people's sets in the store, known by their content, and composed ones kept composed."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import infer
from infer.context import Context
from infer.distilled.compose import compose
from infer.distilled.folder import write_composable, write_images
from infer.errors import UsageError
from infer.evaluation.comparison import main_evaluation
from infer.labels.static import StaticLabels
from infer.methods.registry import distilled_set
from infer.methods.sets.imported_composition import ImportedComposition
from infer.methods.sets.imported_images import ImportedImages
from infer.normalisation import Normalisation
from infer.teachers.teacher import Teacher

DIGITS = [str(digit) for digit in range(10)]


@pytest.fixture
def importing(make_context, tmp_path):
    """A context whose method imports ``path``."""
    return lambda path, *words: make_context("method=imported", f"method.path='{path}'", "K=null", *words)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Twelve images of 8x8 in an SRe2L tree: one per class, three of class 4."""
    drawn = np.random.default_rng(0)
    for target in (*range(10), 4, 4):
        folder = tmp_path / "tree" / f"new{target:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        name = f"class{target:03d}_id{len(list(folder.iterdir())):03d}.png"
        Image.fromarray(drawn.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(folder / name)
    return tmp_path / "tree"


@pytest.fixture
def composed(make_context, tmp_path):
    """Makes an ``infer`` folder of natural images and compensators of the digits, with statistics of its own."""

    def make(dtype: str, mean: list[float] | None = None, std: list[float] | None = None) -> tuple[Path, torch.Tensor]:
        data = make_context().data
        mean, std = mean or list(data.mean), std or list(data.std)
        generator = torch.Generator().manual_seed(0)
        natural = torch.randint(0, 256, (2, 10, 3, 8, 8), dtype=torch.uint8, generator=generator)
        compensators = torch.randn(3, 2, 3, 8, 8, generator=generator)
        folder = tmp_path / f"composed-{dtype}"
        folder.mkdir()
        dataset = {"name": "digits", "classes": DIGITS, "mean": mean, "std": std, "image_size": 8, "fingerprint": None}
        manifest = {"dataset": dataset, "compensator_dtype": dtype, "ipc_charged": 2.6}
        write_composable(folder, natural, compensators, dtype, manifest)
        return folder, compose(natural, compensators, Normalisation.of(mean, std))

    return make


def images_of(context: Context) -> torch.Tensor:
    """Images of the imported set as a student sees them, normalised."""
    images = distilled_set(context).images()
    return images.normalised(images.pixels)


def test_a_tree_becomes_an_artefact(importing, tree):
    context = importing(tree)
    found = distilled_set(context)
    assert isinstance(found, ImportedImages)
    assert (found.num_images, found.stored_images, found.ipc_charged) == (12, 12, 1.2)
    assert found.bytes.total == 12 * 3 * 8 * 8
    assert found.targets().tolist() == [0, 1, 2, 3, 4, 4, 4, 5, 6, 7, 8, 9]
    pixels = torch.from_numpy(np.asarray(Image.open(tree / "new004" / "class004_id001.png")).copy()).permute(2, 0, 1)
    assert torch.equal(found.images().pixels[5], pixels)
    manifest = infer.load(context.folder(found)).manifest
    assert (manifest["method"], manifest["source"], manifest["sizes"]) == ("imported", "sre2l", {"N": 12, "C": 10})


def test_it_is_known_by_its_content_wherever_it_lies(importing, tree, tmp_path):
    first = distilled_set(importing(tree))
    moved = distilled_set(importing(shutil.copytree(tree, tmp_path / "elsewhere" / "other")))
    assert moved.signature == first.signature and moved.folder_name == first.folder_name
    assert distilled_set(importing(tree, "ipc=3", "seed=9")).signature == first.signature
    (tree / "new000" / "class000_id000.png").rename(tree / "new000" / "class000_id001.png")
    assert distilled_set(importing(tree)).signature != first.signature


def test_what_is_stored_is_not_read_again(importing, tree, monkeypatch):
    context = importing(tree)
    context.obtain(distilled_set(context))
    monkeypatch.setattr("infer.formats.trees.read", None)
    again = distilled_set(importing(tree))
    assert again.num_images == 12 and len(again.images()) == 12


def test_a_set_of_ones_own_is_taken_over_exactly(importing, make_context, tmp_path):
    data = make_context().data
    images, targets = data.train.images[:30], data.train.targets[:30]
    dataset = {"classes": DIGITS, "mean": list(data.mean), "std": list(data.std)}
    write_images(tmp_path, images, targets, {"method": "x", "dataset": dataset})
    found = distilled_set(importing(tmp_path))
    assert torch.equal(found.images().pixels, images) and torch.equal(found.targets(), targets)


@pytest.mark.parametrize("dtype", ["int8", "float16", "float32"])
def test_a_composed_set_is_seen_as_it_was_and_costs_what_is_stored(importing, composed, dtype):
    folder, _ = composed(dtype)
    context = importing(folder)
    found = distilled_set(context)
    assert isinstance(found, ImportedComposition)
    assert torch.equal(images_of(context), infer.load(folder).images)
    assert found.targets().tolist() == infer.load(folder).targets.tolist() == list(range(10)) * 8
    assert (found.num_images, found.stored_images, found.ipc_charged) == (80, 20, 2 * (1 + 3 / 10))
    value_bytes = {"int8": 1, "float16": 2, "float32": 4}[dtype]
    scale_bytes = 3 * 4 if dtype == "int8" else 0
    assert found.bytes.natural == 2 * 10 * 3 * 8 * 8
    assert found.bytes.compensators == 3 * 2 * (3 * 8 * 8 * value_bytes + scale_bytes)
    storage = main_evaluation(importing(folder, "labeling=hard")).storage()
    assert storage["total_bytes"] == found.bytes.total + 2 * 20
    assert torch.equal(infer.load(context.folder(found)).images, infer.load(folder).images)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_a_composed_set_of_other_statistics_shows_the_same_pixels(importing, composed, dtype):
    mean, std = [0.5, 0.4, 0.3], [0.2, 0.3, 0.25]
    folder, _ = composed(dtype, mean, std)
    context = importing(folder)
    source = infer.load(folder).images * torch.tensor(std).view(3, 1, 1) + torch.tensor(mean).view(3, 1, 1)
    own = torch.tensor(context.data.std).view(3, 1, 1), torch.tensor(context.data.mean).view(3, 1, 1)
    torch.testing.assert_close(images_of(context) * own[0] + own[1], source, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["tree", "composed"])
def test_it_is_labelled_like_any_other(importing, composed, tree, kind):
    context = importing(tree if kind == "tree" else composed("int8")[0], "M=1", "teachers.min_top1=null")
    evaluation = main_evaluation(context)
    assert isinstance(evaluation.labelled.labels, StaticLabels) and evaluation.labelled.labels.mode == "static"
    teacher = Teacher(context, context.config.ensemble[0])
    expected = teacher.network()(images_of(context))
    torch.testing.assert_close(evaluation.labelled.labels.logits().float(), expected, rtol=1e-2, atol=1e-2)


def test_floats_are_taken_to_be_normalised_as_the_data_set(importing, tmp_path, capsys):
    data = importing(tmp_path).data
    pixels = data.train.images[:20]
    torch.save(data.normalisation.normalise(pixels), tmp_path / "images.pt")
    torch.save(data.train.targets[:20], tmp_path / "labels.pt")
    found = distilled_set(importing(tmp_path))
    assert torch.equal(found.images().pixels, pixels)
    assert "taken to be normalised as digits is" in capsys.readouterr().out


def test_other_classes_or_sizes_are_refused_before_any_work(importing, composed, tree, tmp_path):
    (tree / "new010").mkdir()
    shutil.copy(tree / "new009" / "class009_id000.png", tree / "new010" / "class010_id000.png")
    with pytest.raises(UsageError, match="classes 0 to 10, and digits has 10 classes"):
        distilled_set(importing(tree))
    for number in range(10):
        (tmp_path / "names" / f"{9 - number}").mkdir(parents=True)
        Image.new("RGB", (9, 9)).save(tmp_path / "names" / f"{9 - number}" / "x.png")
    with pytest.raises(UsageError, match="9x9 pixels, and digits of 8x8"):
        distilled_set(importing(tmp_path / "names"))
    (tmp_path / "names" / "7").rename(tmp_path / "names" / "seven")
    with pytest.raises(UsageError, match="class 7 is '8' there and '7' in digits"):
        distilled_set(importing(tmp_path / "names"))


def test_a_damaged_folder_is_refused(importing, composed):
    folder, _ = composed("int8")
    file = folder / "natural.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x00")
    with pytest.raises(UsageError, match="natural.safetensors is missing or not what was written"):
        distilled_set(importing(folder))


@pytest.mark.parametrize(
    ("words", "told"),
    [(["K=3"], "an imported set has its own size"), (["method.format=zip"], "use auto, ddranking")],
)
def test_settings_that_mean_nothing_are_refused(importing, tree, words, told):
    with pytest.raises(UsageError, match=told):
        distilled_set(importing(tree, *words))
