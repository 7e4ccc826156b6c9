"""Test images as a protocol shows them, and the epoch that it reports."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import torchvision.transforms.v2.functional as F

from infer.config.evaluate import Reported
from infer.errors import UsageError
from infer.evaluation.comparison import main_evaluation
from infer.evaluation.protocol import as_tested, pixel_settings, student_normalisation
from infer.evaluation.student import metrics_of
from infer.normalisation import Normalisation
from infer.teachers.teacher import Teacher
from infer.training.images import LabelledImages
from infer.training.scoring import run_test


@pytest.mark.parametrize("size, enlarged", [(32, None), (64, 72), (224, 256), (28, 32), (8, None)])
def test_the_middle_of_an_enlarged_image(resolved, size, enlarged):
    own = Normalisation((0.4,) * 3, (0.2,) * 3)
    data = SimpleNamespace(image_size=size, normalisation=own, normalised_by=lambda _: own)
    context = SimpleNamespace(config=resolved("evaluate.test_crop=enlarged_centre"), data=data)
    pixels = torch.randint(0, 256, (4, 3, size, size), dtype=torch.uint8)
    images = as_tested(context, LabelledImages(pixels, context.data.normalisation, torch.arange(4)))
    assert images.enlarged_to == enlarged
    assert pixel_settings(context) == ({} if enlarged is None else {"enlarged_to": enlarged})
    expected = pixels
    if enlarged is not None:
        expected = F.center_crop(F.resize(pixels, [enlarged, enlarged], antialias=True), [size, size])
    assert torch.equal(images.chunk(slice(1, 3)), expected[1:3])


def test_patches_that_do_not_divide_the_image_are_refused_before_any_work(make_context):
    with pytest.raises(UsageError, match="evaluate.shuffle_patches=3 .* 8x8"):
        main_evaluation(make_context("evaluate.shuffle_patches=3", "labeling=fkd"))


def test_scores_are_those_of_the_pixels_as_shown():
    """A network that answers by the brightness of the upper left corner, which the crop cuts away."""
    pixels = torch.zeros(2, 3, 64, 64, dtype=torch.uint8)
    pixels[0, :, 0, 0] = 255

    class Corner(torch.nn.Module):
        def forward(self, images):
            lit = (images[:, 0, 0, 0] > 0).float()
            return torch.stack([lit, 0.5 * torch.ones_like(lit)], dim=1)

    images = LabelledImages(pixels, Normalisation((0.1,) * 3, (1.0,) * 3), torch.tensor([0, 1]))
    cropped = LabelledImages(pixels, Normalisation((0.1,) * 3, (1.0,) * 3), torch.tensor([0, 1]), enlarged_to=72)
    assert [run_test(Corner(), each).scores["top1"] for each in (images, cropped)] == [100, 50]


@pytest.mark.parametrize(
    "words, mean", [((), None), (("evaluate.normalise=imagenet",), 0.485), (("evaluate.normalise=cifar10",), 0.4914)]
)
def test_students_see_the_units_of_the_protocol(make_context, words, mean):
    context = make_context(*words)
    expected = context.data.mean[0] if mean is None else mean
    assert student_normalisation(context).mean[0] == expected
    assert pixel_settings(context).get("units", [[expected]])[0][0] == expected


@pytest.mark.parametrize(
    ("words", "precision"),
    [
        ("", "bf16"),
        ("evaluate=infer_static", "fp32"),
        ("evaluate=infer_static precision=bf16", "bf16"),
        ("evaluate=infer_static evaluate.precision=null", "bf16"),
        ("evaluate.precision=fp32", "fp32"),
    ],
)
def test_students_compute_in_the_precision_of_the_protocol(make_context, words, precision):
    context = replace(make_context(*words.split()), precision="bf16")  # as auto is on a GPU
    evaluation = main_evaluation(context)
    assert {student.precision for student in evaluation.all_students} == {precision}
    assert {student.settings["precision"] for student in evaluation.all_students} == {precision}
    assert Teacher(context, context.config.ensemble[0]).settings["precision"] == "bf16"


@pytest.mark.parametrize(
    ("size", "word", "teachers", "students"),
    [
        (8, "seed=0", ["fp32", "fp32"], "fp32"),
        (32, "seed=0", ["bf16", "fp32"], "bf16"),
        (32, "teachers.published=true", ["fp32", "fp32"], "bf16"),
        (32, "evaluate=infer_static", ["bf16", "fp32"], "fp32"),
    ],
)
def test_a_cpu_with_bf16_uses_it_for_networks_that_gain(make_context, size, word, teachers, students):
    context = make_context("teachers.archs=[resnet8,efficientnet_b0]", word)
    context = replace(context, precision="by_network", data=replace(context.data, image_size=size))
    found = [Teacher(context, arch) for arch in context.config.ensemble]
    assert [teacher.settings["precision"] for teacher in found] == teachers
    assert context.precisions == ({*teachers}, {students})
    assert {student.precision for student in main_evaluation(context).all_students} == {students}


def test_a_protocol_s_hash_is_recorded_beside_its_name(make_context):
    first, same, other = (
        main_evaluation(make_context(*words)).protocol_facts
        for words in ((), ("evaluate.lr=2e-3", "evaluate.repeats=1"), ("sweep.student_steps=7",))
    )
    assert first == same and first["protocol"] == "digits_static" and len(first["protocol_settings_sha256"]) == 64
    assert other["protocol"] == "digits_static*"
    assert other["protocol_settings_sha256"] != first["protocol_settings_sha256"]


class Trained:
    """Stands for a student with recorded scores."""

    def __init__(self, last: float, best: float) -> None:
        self.facts = {"scores": {"test/top1": last}, "best": {"test/top1_best_epoch": {"value": best, "epoch": 3}}}


def test_the_reported_epoch_leads_and_the_other_stands_beside_it():
    students = [Trained(50.0, 60.0), Trained(52.0, 58.0)]
    last, best = metrics_of(students, Reported.last), metrics_of(students, Reported.best)
    assert {key: summary["mean"] for key, summary in last.items()} == {"test/top1": 51, "test/top1_best_epoch": 59}
    assert {key: summary["mean"] for key, summary in best.items()} == {
        "test/top1": 59,
        "test/top1_best_epoch": 59,
        "test/top1_last_epoch": 51,
    }
