"""Bytes that a set is said to cost, and those that its tensors take: images, compensators, labels, of every kind."""

from pathlib import Path

import pytest

from infer.evaluation.comparison import Evaluation, main_evaluation
from infer.store.files import load_tensors

METHODS = {
    "infer": ("K=3",),
    "sre2l": ("method=sre2l", "method.iterations=1", "K=null", "ipc=2"),
    "rded": ("method=rded", "method.images_per_class=5", "K=null", "ipc=2"),
}
CLASSES, TEACHERS, PIXELS = 10, 2, 3 * 8 * 8


def payload(folder: Path, file: str) -> int:
    """Bytes of all tensors in a file."""
    return sum(tensor.nbytes for tensor in load_tensors(folder / f"{file}.safetensors").values())


@pytest.fixture
def measured(make_context):
    """A set with its labels; nothing of it is made yet."""

    def trial(method: str, *words: str) -> Evaluation:
        short = ("evaluate.steps=null", "evaluate.epochs=2", "baselines=[]")
        return main_evaluation(make_context(*METHODS[method], *short, *words))

    return trial


def label_bytes_on_disk(evaluation: Evaluation) -> int:
    """Bytes of the labels that lie in the store."""
    context, labels = evaluation.context, evaluation.labelled.labels
    if labels.mode == "fkd":
        files = [file.stem for chunk in labels.chunks for file in context.folder(chunk).glob("*.safetensors")]
        assert sorted(files) == ["fkd-00000-draws", "fkd-00000-logits"]
        return sum(payload(context.folder(labels.chunks[0]), file) for file in files)
    return payload(context.folder(labels), "labels") if labels.mode == "static" else 0


@pytest.mark.parametrize("mode", ["hard", "static", "dynamic", "fkd"])
@pytest.mark.parametrize("method", METHODS)
def test_labels_cost_what_is_stored_of_them(measured, method, mode):
    evaluation = measured(method, f"labeling={mode}")
    storage, images = evaluation.storage(), evaluation.labelled.images
    assert images.num_images == (3 * (TEACHERS + 1) if method == "infer" else 2) * CLASSES
    not_in_a_file = {"hard": 2 * images.stored_images}  # a class in two bytes
    assert storage["label_bytes"] == label_bytes_on_disk(evaluation) + not_in_a_file.get(mode, 0)
    assert storage["total_bytes"] == sum(storage[f"{part}_bytes"] for part in ("natural", "compensator", "label"))


@pytest.mark.parametrize("dtype", ["int8", "float16", "float32"])
def test_a_composable_set_costs_its_natural_images_and_compensators(measured, dtype):
    evaluation = measured("infer", "labeling=dynamic", f"method.compensator_dtype={dtype}")
    folder, storage = evaluation.context.folder(evaluation.labelled.images), evaluation.storage()
    assert storage["natural_bytes"] == payload(folder, "natural") == 3 * CLASSES * PIXELS
    assert storage["compensator_bytes"] == payload(folder, "compensators")


@pytest.mark.parametrize("method", ["sre2l", "rded"])
def test_a_set_of_images_costs_its_images(measured, method):
    evaluation = measured(method, "labeling=dynamic")
    stored = load_tensors(evaluation.context.folder(evaluation.labelled.images) / "images.safetensors")["images"]
    assert evaluation.storage()["natural_bytes"] == stored.nbytes == 2 * CLASSES * PIXELS
    assert evaluation.storage()["compensator_bytes"] == 0


@pytest.mark.parametrize("method", METHODS)
def test_the_ratio_is_that_to_the_training_images(measured, method):
    evaluation = measured(method, "labeling=static")
    storage, train = evaluation.storage(), evaluation.context.data.train.images
    assert storage["dataset_bytes"] == train.nbytes
    assert storage["compression_ratio"] == pytest.approx(100 * storage["total_bytes"] / train.nbytes)
