"""Stored labels are the dynamic ones of the same batches, cost what is counted, and are the same when made again."""

import math

import pytest
import torch
import torchvision.transforms.v2.functional as F

from infer.config.labeling import LabelingConfig, LabelMode
from infer.config.training import Training
from infer.distilled.fkd import DRAWS, LOGITS
from infer.distilled.fkd_files import LogitsReader, fkd_file, read_epochs
from infer.errors import UsageError
from infer.evaluation.comparison import baseline_evaluations, main_evaluation
from infer.evaluation.protocol import student_normalisation, student_plan
from infer.evaluation.student import Student
from infer.labels.base import SoftLabelLoss
from infer.labels.dynamic import DynamicLabels
from infer.labels.fkd import FkdLabels, dense_logits
from infer.labels.fkd_by_teachers import fkd_bytes
from infer.labels.registry import labels_of
from infer.methods.registry import distilled_set
from infer.store.files import load_tensors
from infer.teachers.teacher import Teacher
from infer.training.batches import BatchSource
from infer.training.draws import Draws
from infer.training.plan import Plan

SHORT = ("labeling=fkd", "evaluate.steps=null", "evaluate.epochs=12", "evaluate.repeats=2")
EVERYTHING = (
    "evaluate.crop=resized",
    "evaluate.flip=true",
    "evaluate.mix=cutmix",
    "evaluate.shuffle_patches=2",
    "evaluate.normalise=imagenet",
)


@pytest.fixture
def fkd(make_context):
    """The context and fkd labels that words add up to."""

    def make(*words: str):
        context = make_context(*SHORT, *words)
        images = distilled_set(context)
        plan = student_plan(context, images)
        return context, labels_of(context, images, LabelMode.fkd, _teachers(context), lambda _: plan)

    return make


def _teachers(context) -> list[Teacher]:
    return [Teacher(context, arch) for arch in context.config.teachers_that_label]


def _stored(labels: FkdLabels, part: str) -> list[dict[str, torch.Tensor]]:
    """The tensors of every file of ``part`` in the store."""
    pairs = zip(labels.chunks, labels.folders, strict=True)
    return [load_tensors(folder / fkd_file(chunk.epochs.start, part)) for chunk, folder in pairs]


def _batches(context, labels: FkdLabels, epoch: int):
    """Batches of the student, with its own normalisation."""
    images = distilled_set(context).images().renormalised(student_normalisation(context))
    return list(BatchSource(images, student_plan(context, distilled_set(context)), labels.draws).epoch(epoch))


@pytest.mark.parametrize(
    "words", [(), EVERYTHING, ("evaluate.teacher_bn=batch", "evaluate.accumulate=2", "evaluate.mix=none")]
)
def test_stored_logits_are_the_dynamic_ones_of_what_the_student_sees(fkd, words):
    context, labels = fkd(*words)
    normalisation, loss = student_normalisation(context), SoftLabelLoss(context.config.evaluate.temperature)
    dynamic = DynamicLabels(context, _teachers(context), loss).objective(context.device, normalisation)
    stored = labels.objective(context.device, normalisation)
    for epoch in (0, 11):
        for batch in _batches(context, labels, epoch):
            for part in batch.parts(context.config.evaluate.batch_size // context.config.evaluate.accumulate):
                student = torch.randn(len(part.index), 10)
                torch.testing.assert_close(stored(student, part), dynamic(student, part), rtol=2e-3, atol=1e-3)


def test_batches_do_not_share_their_logits(fkd):
    """Otherwise the test above could not see labels of other batches."""
    context, labels = fkd()
    logits = torch.cat([stored["logits"] for stored in _stored(labels, LOGITS)])
    assert logits.shape == (12, 90, 10) and logits.dtype == torch.float16
    assert len(logits.flatten(0, 1).unique(dim=0)) > 0.99 * 12 * 90


@pytest.mark.parametrize(
    ("words", "epochs", "per_epoch"),
    [
        # 90 images in 2 batches: logits, then index, four numbers of the crop, flip and partner, and a weight per batch
        ((), 12, 90 * (20 + 1 + 4 + 1 + 1) + 2 * 8),
        (("labeling.topk=3",), 12, 90 * (9 + 7) + 2 * 8),
        (("labeling.epochs_stored=4",), 4, 90 * 27 + 2 * 8),
        (("evaluate.mix=none",), 12, 90 * 26),
        (("evaluate.mix=none", "evaluate.crop_padding=128", "evaluate.batch_size=200"), 12, 90 * 30),
        (EVERYTHING, 12, 90 * (27 + 4) + 2 * (8 + 4)),
    ],
)
def test_bytes_are_those_of_the_stored_tensors(fkd, words, epochs, per_epoch):
    context, labels = fkd(*words)
    counted = labels.label_bytes
    assert counted == epochs * per_epoch == main_evaluation(context).storage()["label_bytes"]
    plan = student_plan(context, distilled_set(context))
    assert fkd_bytes(plan, 8, 10, context.config.labeling) == counted
    files = [stored for part in (LOGITS, DRAWS) for stored in _stored(labels, part)]
    assert counted == sum(tensor.nbytes for stored in files for tensor in stored.values())
    assert all(len(list(folder.glob("*.safetensors"))) == 2 for folder in labels.folders)


@pytest.mark.parametrize(
    "words", [(), EVERYTHING, ("evaluate.mix=none", "evaluate.flip=true", "evaluate.crop_padding=128")]
)
def test_stored_draws_are_those_of_the_seed(fkd, words):
    context, labels = fkd(*words)
    plan = student_plan(context, distilled_set(context))
    for epoch in (0, 9, 10, 11):
        drawn, stored = (draws.of(plan, epoch, (8, 8)) for draws in (Draws((0, "fkd")), labels.draws))
        for name, value in vars(drawn).items():
            found = getattr(stored, name)
            if torch.is_tensor(value):
                assert torch.equal(found, value) and found.dtype == value.dtype, name
            else:
                assert found == value, name


def test_chunks_are_shared_by_trainings_of_other_lengths(fkd):
    long, short = fkd("evaluate.epochs=25")[1], fkd("evaluate.epochs=10")[1]
    assert [chunk.epochs for chunk in long.chunks] == [range(10), range(10, 20), range(20, 25)]
    assert [chunk.signature for chunk in short.chunks] == [long.chunks[0].signature]


def test_a_length_in_steps_stores_whole_epochs(fkd):
    _, labels = fkd("evaluate.epochs=null", "evaluate.steps=3")  # two steps per epoch
    assert labels.num_epochs == 2
    assert _stored(labels, LOGITS)[0]["logits"].shape == (2, 90, 10)


def test_fewer_stored_epochs_come_again(fkd):
    context, labels = fkd("labeling.epochs_stored=4")
    assert labels.num_epochs == 4
    for early, late in ((0, 4), (3, 11)):
        for a, b in zip(_batches(context, labels, early), _batches(context, labels, late), strict=True):
            assert torch.equal(a.images, b.images) and (a.epoch, a.first) == (b.epoch, b.first)
    assert not torch.equal(_batches(context, labels, 0)[0].index, _batches(context, labels, 1)[0].index)


def test_pruned_logits_are_the_highest_and_the_others_get_nothing(fkd):
    _, whole = fkd()
    _, pruned = fkd("labeling.topk=3")
    rows = slice(0, 64)
    everything, _ = LogitsReader(whole.folders, torch.device("cpu")).rows(5, rows)
    logits, classes = LogitsReader(pruned.folders, torch.device("cpu")).rows(5, rows)
    highest = everything.topk(3, dim=1)
    assert torch.equal(logits, highest.values) and classes.dtype == torch.uint8
    expected = torch.zeros(64, 10)
    for row in range(64):
        chosen = torch.tensor(everything[row].float().numpy().argsort()[-3:].copy())
        expected[row, chosen] = (everything[row, chosen].float() / 4).softmax(dim=0)
    torch.testing.assert_close((dense_logits(logits, classes, 10) / 4).softmax(dim=1), expected)


def test_a_pruned_label_gives_a_finite_loss_and_gradient():
    student = torch.randn(2, 5, requires_grad=True)
    teacher = dense_logits(torch.tensor([[2.0, 1.0]] * 2).half(), torch.tensor([[4, 0]] * 2, dtype=torch.uint8), 5)
    SoftLabelLoss(3.0)(student, teacher).backward()
    assert student.grad.isfinite().all() and student.grad.abs().sum() > 0


@pytest.mark.parametrize("classes, per_logit", [(10, 3), (256, 3), (257, 4), (10450, 4), (40000, 6)])
def test_a_class_takes_as_few_bytes_as_it_needs(classes, per_logit):
    plan = Plan(Training(epochs=3, batch_size=8), num_images=17)  # the single image left over is joined by another
    draws = 1 + 4 * 2 + 1  # index, crop in images of 224 pixels, flip
    pruned, fewer = LabelingConfig(LabelMode.fkd, topk=5), LabelingConfig(LabelMode.fkd, epochs_stored=2)
    assert fkd_bytes(plan, 224, classes, pruned) == 3 * 18 * (5 * per_logit + draws)
    assert fkd_bytes(plan, 224, classes, fewer) == 2 * 18 * (classes * 2 + draws)


def test_more_logits_than_classes_are_refused(fkd):
    with pytest.raises(UsageError, match="labeling.topk=11"):
        fkd("labeling.topk=11")


def test_repeats_and_architectures_see_the_same_batches_and_start_differently(fkd):
    context, _ = fkd("student.archs=[convnet3_w32_batchnorm,resnet8_w8]")
    students = main_evaluation(context).students
    draws = {student._labelled.labels.draws for each in students.values() for student in each}
    assert len(draws) == 1
    first, second = students["convnet3_w32_batchnorm"]
    weights = [s.untrained((0, "evaluate", s.arch, s.repeat)).state_dict() for s in (first, second)]
    assert any(not torch.equal(a, b) for a, b in zip(*(w.values() for w in weights), strict=True))
    assert first.signature != second.signature


def test_a_student_is_trained_on_stored_labels_alone(fkd, monkeypatch):
    """The teachers are not asked again, and the same draws give the same student twice."""
    context, labels = fkd("evaluate.epochs=11", "student.archs=[convnet3_w32_batchnorm]", "evaluate.repeats=1")
    student = main_evaluation(context).students["convnet3_w32_batchnorm"][0]
    for chunk in student._labelled.labels.chunks:
        context.obtain(chunk)
    monkeypatch.setattr(Teacher, "network", lambda _: pytest.fail("a teacher was asked"))
    assert student.facts["steps"] == 22
    scores = student.facts["scores"]
    context.store.set_aside(student, but_not_of="another order")
    context.store._verified.clear()
    assert isinstance(student, Student) and student.facts["scores"] == scores


def test_a_chunk_that_is_made_again_is_the_same(fkd):
    context, labels = fkd("evaluate.epochs=3", *EVERYTHING)
    before = _stored(labels, LOGITS) + _stored(labels, DRAWS)
    context.store.set_aside(labels.chunks[0], but_not_of="another order")
    context.obtain(labels.chunks[0])
    after = _stored(labels, LOGITS) + _stored(labels, DRAWS)
    assert [stored.keys() for stored in before] == [stored.keys() for stored in after]
    for old, new in zip(before, after, strict=True):
        assert all(torch.equal(old[name], new[name]) for name in old)


@pytest.mark.parametrize("mix", ["none", "mixup", "cutmix"])
def test_batches_spelled_out_give_the_stored_logits(fkd, mix):
    """Crop, mirror and mix by the coordinates, image by image, then ask the teachers: what a reader of files does."""
    context, labels = fkd("evaluate.epochs=2", "evaluate.crop=resized", "evaluate.flip=true", f"evaluate.mix={mix}")
    images = distilled_set(context).images()
    pixels = images.normalised(images.pixels)
    networks = [teacher.network() for teacher in _teachers(context)]
    epochs = list(read_epochs(labels.folders, labels.form, range(2)))
    assert [len(batches) for batches in epochs] == [2, 2]
    for batch in (batch for batches in epochs for batch in batches):
        crops = [
            F.resized_crop(pixels[i], *box, [8, 8]) for i, box in zip(batch.index, batch.crops.tolist(), strict=True)
        ]
        seen = torch.stack([F.hflip(crop) if flip else crop for crop, flip in zip(crops, batch.flip, strict=True)])
        if mix == "mixup":
            seen = batch.weight * seen + (1 - batch.weight) * seen[batch.partner]
        elif mix == "cutmix":
            top, left, bottom, right = batch.cut_box
            seen[:, :, top:bottom, left:right] = seen[batch.partner][:, :, top:bottom, left:right]
        with torch.no_grad():
            expected = torch.stack([network(seen) for network in networks]).mean(dim=0)
        assert (batch.partner is None) == (mix == "none") and batch.classes is None
        torch.testing.assert_close(batch.logits.float(), expected, rtol=5e-3, atol=5e-3)


def test_random_images_with_fkd_labels_cost_no_more(make_context):
    context = make_context(*SHORT, "labeling.epochs_stored=5")
    main = main_evaluation(context)
    (baseline,) = baseline_evaluations(context, main, context.config.baselines_of(in_sweep=False)[:1])
    ours, theirs = main.storage(), baseline.storage()
    assert baseline.labelled.name == "random_fkd" and baseline.num_steps == main.num_steps
    assert theirs["total_bytes"] + theirs["leftover_bytes"] == ours["total_bytes"]
    one_more_per_class = baseline.labelled.images.num_images + 10
    one_more = one_more_per_class * (3 * 64 + 5 * 27) + 5 * 8 * math.ceil(one_more_per_class / 64)
    assert theirs["leftover_bytes"] >= 0 and one_more > ours["total_bytes"]
    assert context.data.normalisation == student_normalisation(context)
