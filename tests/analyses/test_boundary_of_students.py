"""Boundary through students: the kept student against the plain one, and its panels against the network itself."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.figures import assert_tidy, words_of
from torchvision.transforms.v2.functional import center_crop, resize

from infer.analyses.boundary import StudentBoundary
from infer.analyses.outputs import Outputs
from infer.analyses.sample import scored_images
from infer.errors import UsageError
from infer.evaluation.comparison import baseline_evaluations, main_evaluation
from infer.evaluation.student import KeptStudent, Student
from infer.methods.sets.features import without_head
from infer.models import build
from infer.normalisation import IMAGENET
from infer.pipeline import preflight
from infer.plots import analyses
from infer.records.names import PREDICTIONS
from infer.seeds import torch_seed
from infer.store.files import load_tensors
from infer.training.loop import fit

_SHORT = ("evaluate.steps=40", "evaluate.repeats=2")


@pytest.fixture(scope="module")
def evaluation(make_context, images):
    """The small set with its labels, which are there; ``images`` made it."""
    found = main_evaluation(make_context(*_SHORT))
    for parent in found.kept_student.parents.values():
        found.context.obtain(parent)
    return found


@pytest.fixture(scope="module")
def student(evaluation):
    evaluation.context.obtain(evaluation.kept_student)
    return evaluation.kept_student


@pytest.fixture(scope="module")
def other(make_context, probes):
    """Random images with hard labels, and their student."""
    found = main_evaluation(make_context("method=random", "ipc=4", "K=null", "labeling=hard", *_SHORT))
    found.context.obtain(found.kept_student)
    return found


@pytest.fixture(scope="module")
def facts(images, student, other):
    shown = [(images, student), (other.labelled.images, other.kept_student)]
    return StudentBoundary(shown, ["3", "5", "8"]).facts()


def test_a_kept_student_is_the_plain_one_with_its_weights(evaluation, student):
    plain = evaluation.students[student.arch][0]
    assert type(plain) is Student
    assert student.settings == {**plain.settings, "weights": "kept"} and student.parents == plain.parents
    unlike = {"seconds"}
    assert {k: v for k, v in student.facts.items() if k not in unlike} == {
        k: v for k, v in plain.facts.items() if k not in unlike
    }
    folder, of_plain = (evaluation.context.folder(each) for each in (student, plain))
    assert (folder / PREDICTIONS).read_bytes() == (of_plain / PREDICTIONS).read_bytes()
    assert {path.name for path in folder.iterdir()} - {path.name for path in of_plain.iterdir()} == {
        "model.safetensors"
    }
    assert student.expected_bytes == pytest.approx((folder / "model.safetensors").stat().st_size, rel=0.1)


def test_the_network_predicts_what_the_student_was_scored_by(evaluation, student):
    stored = load_tensors(evaluation.context.folder(student) / PREDICTIONS)
    network, test = student.network(), evaluation.context.data.test
    assert not network.training and not any(p.requires_grad for p in network.parameters())
    predicted = network(evaluation.context.data.normalisation.normalise(test.images)).argmax(dim=1)
    assert torch.equal(predicted.int(), stored["test.predicted"])
    assert 100 * (predicted == test.targets).double().mean() == pytest.approx(student.facts["scores"]["test/top1"])


def test_features_are_those_of_a_network_that_is_trained_from_the_same_streams(evaluation, student):
    context, labelled = evaluation.context, evaluation.labelled
    stream = (context.config.seed, "evaluate", student.arch, 0)
    with torch.random.fork_rng():
        torch.manual_seed(torch_seed(*stream, "weights"))
        network = build(student.arch, context.data.num_classes, context.data.image_size)
    normalisation = context.data.normalisation
    objective = labelled.labels.objective(torch.device("cpu"), normalisation)
    fit(network, labelled.images.images(), objective, student.plan, stream=stream, draws=labelled.labels.draws)
    shown = scored_images(context, [2, 7], 6)
    found = Outputs(context, student, shown)
    test = context.data.test
    rows = sorted(row for c in (2, 7) for row in (test.targets == c).nonzero().flatten().tolist()[:6])
    assert found.rows.tolist() == rows and torch.equal(found.targets, test.targets[rows])
    features = without_head(network, student.arch, context.data.image_size)
    with torch.no_grad():
        seen = normalisation.normalise(test.images[rows])
        torch.testing.assert_close(found.features, features(seen))
        torch.testing.assert_close(found.logits, network(seen))


def test_images_are_seen_as_the_protocol_tests_them(make_context, images, monkeypatch):
    monkeypatch.setattr("infer.evaluation.protocol._enlarged_to", lambda _context: 10)
    evaluation = main_evaluation(make_context("evaluate.steps=2", "evaluate.repeats=1", "evaluate.normalise=imagenet"))
    context, student = evaluation.context, evaluation.kept_student
    for parent in student.parents.values():
        context.obtain(parent)
    context.obtain(student)
    sample = scored_images(context, [0, 1], 5)
    pixels = center_crop(resize(sample.read()[0].pixels, [10], antialias=True), [8, 8])
    logits = student.network(IMAGENET)(IMAGENET.normalise(pixels))
    torch.testing.assert_close(Outputs(context, student, sample).logits, logits)
    assert not torch.allclose(logits, student.network(IMAGENET)(IMAGENET.normalise(sample.read()[0].pixels)))


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (("analyses=[boundary]",), True),
        (("analyses=[boundary]", "stages=[evaluate]"), True),
        (("analyses=[similarity]",), False),
    ],
)
def test_the_first_student_of_the_set_is_kept_where_the_run_looks_through_it(make_context, words, kept):
    archs = "student.archs=[convnet3_w32_batchnorm,resnet8_w8]"
    run, plain = (make_context(*_SHORT, archs, *several) for several in (words, ()))
    of_run, of_plain = (
        [main, *baseline_evaluations(main.context, main, main.context.config.baselines_of(in_sweep=False))]
        for main in map(main_evaluation, (run, plain))
    )
    signatures = [[s.signature for each in sets for s in each.all_students] for sets in (of_run, of_plain)]
    differing = [position for position, (one, another) in enumerate(zip(*signatures, strict=True)) if one != another]
    assert differing == ([0] if kept else [])
    assert isinstance(of_run[0].all_students[0], KeptStudent) is kept
    assert of_run[0].is_done is False


def test_panels_show_the_same_images_each_through_its_own_student(facts, images, evaluation, student, other):
    one, another = facts["panels"]
    test = evaluation.context.data.test
    rows = torch.cat([torch.where(test.targets == c)[0][:100] for c in (3, 5, 8)]).sort().values
    assert one["targets"] == another["targets"] == test.targets[rows].tolist()
    for panel, each in ((one, student), (another, other.kept_student)):
        seen = evaluation.context.data.normalisation.normalise(test.images[rows])
        predicted = each.network()(seen).argmax(dim=1)
        assert panel["predicted"] == predicted.tolist() and len(panel["places"]) == len(rows)
        assert panel["accuracy"] == pytest.approx(100 * (predicted == test.targets[rows]).double().mean().item(), 1e-5)
        features = without_head(each.network(), each.arch, 8)(seen).detach().double().numpy()
        assert panel["silhouette"] == pytest.approx(_silhouette(features, test.targets[rows].numpy()), abs=1e-4)
        assert set(panel["distilled"]["targets"]) == {3, 5, 8}
        assert len(panel["distilled"]["places"]) == len(panel["distilled"]["predicted"])
    assert one["places"] != another["places"] and one["predicted"] != another["predicted"]
    assert len(one["distilled"]["targets"]) == 27 and len(another["distilled"]["targets"]) == 12  # 9 and 4 per class
    assert [(p["method"], p["labels"]) for p in facts["panels"]] == [("infer", "static"), ("random", "hard")]


def _silhouette(features: np.ndarray, targets: np.ndarray) -> float:
    """The mean of (b - a) / max(a, b): mean cosine distances to the own class, and to the nearest other one."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    distance, values = 1 - unit @ unit.T, []
    for i, target in enumerate(targets):
        own = (targets == target) & (np.arange(len(targets)) != i)
        a, b = distance[i, own].mean(), min(distance[i, targets == c].mean() for c in set(targets) - {target})
        values.append((b - a) / max(a, b))
    return float(np.mean(values))


@pytest.mark.usefixtures("style")
def test_the_figure_names_method_network_and_accuracy_of_every_panel(facts):
    facts = json.loads(json.dumps(facts))
    figure = analyses._kind_of(facts).figure(facts)
    assert_tidy(figure)
    titles = [axes.get_title("left") for axes in figure.axes]
    for title, panel in zip(titles, facts["panels"], strict=True):
        for part in (panel["method"], panel["labels"], panel["network"], f"{panel['accuracy']:.1f} %"):
            assert part in title
    assert any(words.startswith("distilled") for words in words_of(figure))
    backgrounds = [axes.images[0].get_array() for axes in figure.axes]
    assert not np.array_equal(*backgrounds)


def test_a_sentence_and_numbers_of_students(facts):
    sentence = analyses.sentence_of(facts)
    assert sentence.startswith("On test images of the classes 3, 5 and 8, convnet3_w32_batchnorm trained on ")
    for panel in facts["panels"]:
        assert f"{panel['name']} with {panel['labels']} labels is right on {panel['accuracy']:.1f} %" in sentence
    assert len(analyses.numbers_of(facts)) == 4
    twice = facts | {"panels": [facts["panels"][0]] * 2}
    assert len(analyses.numbers_of(twice)) == 4  # equal names are told apart
    alone = facts | {"panels": facts["panels"][:1]}
    assert list(analyses.numbers_of(alone)) == ["accuracy %", "silhouette"]


def test_a_student_without_a_linear_head_is_refused_before_the_work(make_context):
    context = make_context("student.archs=[timm/deit_tiny_distilled_patch16_224]", "analyses=[boundary]")
    context.data = replace(context.data, image_size=32)
    with pytest.raises(UsageError, match=r"student timm/deit.*student\.archs="):
        preflight._check_networks(context)
