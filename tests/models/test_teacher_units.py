"""Teachers that were trained with other channel statistics than the data set's see the pixels that they know."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from infer.evaluation.protocol import student_normalisation
from infer.labels.ensemble import Ensemble, with_batch_statistics
from infer.labels.static import BlockLogits
from infer.methods.optimisation.bn_matching import MatchedTeacher
from infer.methods.registry import distilled_set
from infer.methods.sets.features import without_head
from infer.methods.sets.perturbation import perturbed
from infer.models import build
from infer.normalisation import IMAGENET, Normalisation
from infer.store.files import load_tensors, save_tensors
from infer.teachers.teacher import Teacher
from infer.training.images import Images
from infer.training.scoring import predict_logits

ARCH = "resnet8_w8"
THERE = "teachers.normalise=imagenet"


@pytest.fixture(scope="module")
def trained(make_context) -> Teacher:
    """A teacher that is trained with ImageNet's mean and std."""
    return Teacher(make_context(f"teachers.archs=[{ARCH}]", "teachers.epochs=4", THERE), ARCH)


@pytest.fixture(scope="module")
def by_hand(trained) -> nn.Module:
    """The bare network of ``trained``, which knows nothing of units."""
    network = build(ARCH, 10, 8)
    network.load_state_dict(load_tensors(trained._context.folder(trained) / "model.safetensors"))
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def read(make_context, by_hand, tmp_path_factory) -> Callable[..., Teacher]:
    """The teacher of a run that reads that network from a checkpoint."""
    checkpoint = tmp_path_factory.mktemp("published") / "published.safetensors"
    save_tensors(checkpoint, by_hand.state_dict())
    given = (f"teachers.archs=[{ARCH}]", f"teachers.checkpoints={{{ARCH}: {checkpoint}}}")
    return lambda *words: Teacher(make_context(*given, *words), ARCH)


@pytest.fixture(scope="module")
def raw() -> Tensor:
    """Images in [0, 1]."""
    return torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def normalised(pixels: Tensor, normalisation: Normalisation) -> Tensor:
    """``pixels`` in [0, 1], [N, 3, H, W], normalised."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (normalisation.mean, normalisation.std))
    return (pixels - mean) / std


def seen(teacher: Teacher, raw: Tensor) -> Tensor:
    """``raw`` as every stage hands images to teachers: in the data set's units."""
    return normalised(raw, teacher._context.data.normalisation)


def test_it_is_trained_and_tested_in_its_units(trained, by_hand):
    test = trained._context.data.test
    hits = by_hand(normalised(test.images / 255, IMAGENET)).argmax(1) == test.targets
    assert trained.top1 == trained.history()[-1]["test/top1"] == pytest.approx(100 * hits.double().mean().item())


def test_a_checkpoint_is_as_good_as_where_it_was_trained_and_clearly_worse_in_other_units(trained, read):
    assert read(THERE).top1 == trained.top1 > 90
    assert read().top1 < trained.top1 - 20


def test_it_says_of_the_same_image_what_the_bare_network_says(read, by_hand, raw):
    expected = by_hand(normalised(raw, IMAGENET))
    teacher = read(THERE)
    torch.testing.assert_close(teacher.network()(seen(teacher, raw)), expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(read().network()(seen(teacher, raw)), expected, rtol=0.1, atol=0.1)


def test_its_stored_logits_are_those_of_the_images_in_its_units(read, by_hand):
    teacher = read(THERE, "method=random", "K=null", "ipc=2")
    (block,) = distilled_set(teacher._context).blocks
    images = block.images()
    mean, std = (
        torch.tensor(values).view(3, 1, 1) for values in (teacher._context.data.mean, teacher._context.data.std)
    )
    expected = by_hand(normalised(images * std + mean, IMAGENET))
    logits = BlockLogits(teacher._context, teacher, block).logits()
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("mode", ["eval", "batch"])
@pytest.mark.parametrize("students", ["dataset", "imagenet", "cifar10"])
def test_students_may_see_other_units_than_their_teachers(read, by_hand, raw, students, mode):
    teacher = read(THERE, f"evaluate.normalise={students}", f"evaluate.teacher_bn={mode}")
    normalisation = student_normalisation(teacher._context)
    network = with_batch_statistics(by_hand) if mode == "batch" else by_hand
    logits = Ensemble(teacher._context, [teacher]).labeller(normalisation)(normalised(raw, normalisation))
    torch.testing.assert_close(logits, network(normalised(raw, IMAGENET)), rtol=1e-3, atol=1e-3)


def test_where_units_are_equal_nothing_is_put_before_the_network(read):
    teacher = read(THERE)
    assert type(teacher.network(IMAGENET)) is type(read().network()) is not nn.Sequential


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_batch_norm_matching_looks_at_the_layers_behind_the_change(read, by_hand, raw, dtype):
    teacher = read(THERE)
    found = MatchedTeacher(teacher.network(), 10.0, dtype)(seen(teacher, raw).to(dtype), 2)
    expected = MatchedTeacher(by_hand, 10.0, dtype)(normalised(raw, IMAGENET).to(dtype), 2)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == dtype
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_it_compiles_to_one_graph(read, raw):
    """The graph is run as it is, so nothing has to be compiled."""
    teacher = read(THERE)
    matched = MatchedTeacher(teacher.network(), 10.0)
    graph = torch.compile(matched, fullgraph=True, dynamic=False, backend="eager")
    torch.testing.assert_close(graph(seen(teacher, raw), 2), matched(seen(teacher, raw), 2))


def test_its_features_are_those_of_the_bare_network(read, by_hand, raw):
    teacher = read(THERE)
    found = without_head(teacher.network(), ARCH, 8)(seen(teacher, raw))
    expected = without_head(by_hand, ARCH, 8)(normalised(raw, IMAGENET))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_perturbed_copy_moves_weights_and_no_units(read, by_hand, raw):
    teacher, classes = read(THERE), torch.arange(6)
    moved = perturbed(teacher.network(), seen(teacher, raw), classes, steps=1, radius=0.1)
    expected = perturbed(by_hand, normalised(raw, IMAGENET), classes, steps=1, radius=0.1)
    torch.testing.assert_close(moved(seen(teacher, raw)), expected(normalised(raw, IMAGENET)), rtol=1e-3, atol=1e-3)


def test_it_stays_in_eval_mode_and_in_its_layout(read, raw):
    teacher = read(THERE)
    network = teacher.network().to(memory_format=torch.channels_last)
    images = Images((255 * raw).to(torch.uint8), teacher._context.data.normalisation)
    predict_logits(network, images)
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())
    changed = network[0](raw.contiguous(memory_format=torch.channels_last))
    assert changed.is_contiguous(memory_format=torch.channels_last)


def test_only_other_units_than_the_data_sets_are_in_its_signature(read):
    plain = read()
    assert read("teachers.normalise=dataset").signature == plain.signature != read(THERE).signature
    assert "units" not in plain.settings and read(THERE).settings["units"] == [list(IMAGENET.mean), list(IMAGENET.std)]
