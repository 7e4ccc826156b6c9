"""Soft labels that came with an imported set: taken as they are, in whatever format, and mixed as images are."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import log_softmax, softmax

import infer
from infer.distilled.folder import write_composable, write_images, write_labels
from infer.errors import UsageError
from infer.evaluation.comparison import Evaluation, main_evaluation
from infer.labels.base import SoftLabelLoss
from infer.labels.from_set import SetLabels
from infer.labels.static import static_label_objective
from infer.pipeline.run_folder import write_distilled_folder
from infer.store.files import load_tensors, save_tensors
from infer.teachers.teacher import Teacher
from infer.training.batches import Batch

CLASSES = torch.arange(10).repeat_interleave(2)
LOGITS = torch.randn(20, 10, generator=torch.Generator().manual_seed(0)) + 4 * torch.eye(10)[CLASSES]
SHORT = ("evaluate.steps=4", "evaluate.repeats=1", "student.archs=[convnet3_w32_batchnorm]")


@pytest.fixture
def judged(make_context, monkeypatch):
    """The set at ``path`` with the labels that it came with; no teacher may be asked."""
    monkeypatch.setattr(Teacher, "make", lambda *_: pytest.fail("a teacher was trained"))

    def make(path: Path, *words: str) -> Evaluation:
        imported = ("method=imported", f"method.path='{path}'", "K=null", "labeling=static", "labeling.source=set")
        return main_evaluation(make_context(*imported, *SHORT, *words))

    return make


@pytest.fixture
def data(make_context):
    return make_context().data


def as_ddranking(folder: Path, data, labels: Tensor, suffix: str = "") -> Path:
    folder.mkdir()
    pixels = torch.stack(
        [data.train.images[data.train.targets == target][number] for target in range(10) for number in (0, 1)]
    )
    torch.save(data.normalisation.normalise(pixels), folder / f"images{suffix}.pt")
    torch.save(labels, folder / f"labels{suffix}.pt")
    return folder


def as_dc(folder: Path, data, labels: Tensor) -> Path:
    made = as_ddranking(folder, data, labels)
    pair = [torch.load(made / f"{name}.pt") for name in ("images", "labels")]
    torch.save({"data": [pair], "accs_all_exps": {}}, folder / "res.pt")
    return folder / "res.pt"


WRITERS = {
    "ddranking": as_ddranking,
    "mtt": lambda *words: as_ddranking(*words, suffix="_best"),
    "dc": as_dc,
}


@pytest.mark.parametrize("form", WRITERS)
def test_logits_are_taken_as_they_are(judged, data, tmp_path, form):
    found = judged(WRITERS[form](tmp_path / "set", data, LOGITS)).labelled.labels
    assert isinstance(found, SetLabels)
    assert torch.equal(found.logits(), LOGITS) and found.label_bytes == 20 * 10 * 4


def test_probabilities_come_back_at_a_temperature_of_one(judged, data, tmp_path, capsys):
    probabilities = softmax(LOGITS, dim=1).half()
    found = judged(as_ddranking(tmp_path / "set", data, probabilities)).labelled.labels
    torch.testing.assert_close(softmax(found.logits(), dim=1), probabilities.float(), rtol=0, atol=1e-3)
    assert found.label_bytes == 20 * 10 * 2
    assert "evaluate.temperature=1 takes them as they are" in capsys.readouterr().out


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_probabilities_of_zero_can_be_mixed(judged, data, tmp_path, weight):
    found = judged(as_ddranking(tmp_path / "set", data, torch.eye(10)[CLASSES]), "evaluate.temperature=1")
    objective = found.labelled.labels.objective(torch.device("cpu"), None)
    batch = Batch(torch.empty(2, 3, 8, 8), torch.tensor([0, 7]), torch.tensor([7, 19]), weight)
    student = torch.randn(2, 10, requires_grad=True)
    loss = objective(student, batch)
    loss.backward()
    assert student.grad.isfinite().all()
    if weight in (0.0, 1.0):
        classes = CLASSES[batch.index if weight == 1.0 else batch.partner]
        torch.testing.assert_close(loss, -log_softmax(student, dim=1)[torch.arange(2), classes].mean())


def test_they_are_mixed_in_logit_space_like_static_labels(judged, data, tmp_path):
    found = judged(as_ddranking(tmp_path / "set", data, LOGITS), "evaluate.temperature=3").labelled.labels
    batch = Batch(torch.empty(2, 3, 8, 8), torch.tensor([0, 7]), torch.tensor([7, 19]), 0.3)
    student = torch.randn(2, 10)
    expected = static_label_objective(LOGITS, SoftLabelLoss(3.0), torch.device("cpu"))(student, batch)
    assert torch.equal(found.objective(torch.device("cpu"), None)(student, batch), expected)


def test_a_students_scores_are_those_of_the_labels_that_the_teachers_made(make_context, judged, tmp_path, monkeypatch):
    """A run's own folder, natural images and compensators with static logits."""
    monkeypatch.undo()
    context = make_context("M=1", "K=2", *SHORT)
    ran = main_evaluation(replace(context, run_folder=tmp_path))
    scores = _scores(ran)
    folder = shutil.move(write_distilled_folder(ran.context, ran), tmp_path / "elsewhere")
    monkeypatch.setattr(Teacher, "make", lambda *_: pytest.fail("a teacher was trained"))
    again = judged(folder)
    assert _scores(again) == scores and again.storage() == ran.storage()


@pytest.mark.parametrize("probabilities", [True, False])
def test_they_leave_with_the_set_as_they_came(judged, data, tmp_path, probabilities):
    labels = softmax(LOGITS, dim=1) if probabilities else LOGITS
    ran = judged(as_ddranking(tmp_path / "set", data, labels))
    scores = _scores(ran)
    folder = write_distilled_folder(replace(ran.context, run_folder=tmp_path), ran)
    assert torch.equal(load_tensors(folder / "labels.safetensors")["logits"], labels)
    torch.testing.assert_close(softmax(infer.load(folder).logits, dim=1), softmax(LOGITS, dim=1))
    again = judged(folder)
    assert _scores(again) == scores and again.storage() == ran.storage()


def test_what_is_stored_is_not_read_again(judged, data, tmp_path, monkeypatch):
    path = as_ddranking(tmp_path / "set", data, LOGITS)
    found = judged(path)
    scores = _scores(found)
    monkeypatch.setattr("infer.formats.tensors.load_foreign", None)
    again = judged(path)
    assert _scores(again) == scores and again.storage() == found.storage()


def test_other_labels_of_the_same_images_are_others(judged, data, tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    dataset = {"classes": list(data.classes), "mean": list(data.mean), "std": list(data.std)}

    def found(labels: Tensor) -> Evaluation:
        save_tensors(folder / "labels.safetensors", {"logits": labels})
        write_images(folder, data.train.images[:20], data.train.targets[:20], {"dataset": dataset})
        return judged(folder)

    first, second = found(LOGITS), found(LOGITS + 1)
    assert first.labelled.images.signature == second.labelled.images.signature
    assert first.labelled.labels.signature != second.labelled.labels.signature


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (CLASSES, "came without soft labels. Type labeling.source=teachers"),
        (LOGITS[:, :9], "soft labels of 9 classes, digits has 10"),
        (LOGITS / 0, "not finite"),
    ],
)
def test_what_is_no_soft_label_is_refused(judged, data, tmp_path, labels, told):
    with pytest.raises(UsageError, match=told):
        judged(as_ddranking(tmp_path / "set", data, labels))


def test_too_few_labels_of_a_composed_set_are_refused(judged, data, tmp_path):
    dataset = {"classes": list(data.classes), "mean": list(data.mean), "std": list(data.std)}
    write_labels(tmp_path, LOGITS)
    natural = torch.zeros(2, 10, 3, 8, 8, dtype=torch.uint8)
    manifest = {"dataset": dataset, "compensator_dtype": "int8", "ipc_charged": 2.2}
    write_composable(tmp_path, natural, torch.randn(1, 2, 3, 8, 8), "int8", manifest)
    with pytest.raises(UsageError, match=r"soft labels \[20, 10\], and its images need \[40, 10\]"):
        judged(tmp_path)


def test_a_set_that_the_run_makes_itself_has_none(make_context):
    with pytest.raises(UsageError, match="method=infer makes a set of its own"):
        main_evaluation(make_context("labeling=static", "labeling.source=set"))


def _scores(evaluation: Evaluation) -> dict[str, float]:
    (students,) = evaluation.students.values()
    return students[0].facts["scores"]
