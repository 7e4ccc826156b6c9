"""Whole images under optimisation against one written out plainly, and what SRe2L, CDA and DWA make of them."""

import pytest
import torch
from plain_optimisation import SIZE, adam, loss_terms, smooth_teacher
from torch import Tensor, nn

from infer.errors import UsageError
from infer.methods.optimisation.augmentation import Augmentation
from infer.methods.optimisation.loop import descend, optimise
from infer.methods.optimisation.loss import MatchingLoss, Problem
from infer.methods.optimisation_settings import GenerationPrecision, OptimisationSettings
from infer.methods.registry import distilled_set
from infer.pipeline import preflight
from infer.store import Workspace
from infer.store.files import load_tensors

SETTINGS = OptimisationSettings(
    iterations=15, lr=0.25, bn_weight=0.3, first_bn_multiplier=10.0, precision=GenerationPrecision.fp64
)
VARIANCE_WEIGHT = 2.5
TARGETS = [1, 3]
BOUND = 1.2
VIEWS = Augmentation(2, two_sided=True, crop_scale_min=0.4, crop_milestone=1.0)
METHODS = ["sre2l", "cda", "dwa"]


@pytest.fixture(scope="module")
def teacher() -> nn.Sequential:
    return smooth_teacher()


@pytest.fixture
def start() -> Tensor:
    """Three groups of two images, of the second and the last class; some values are out of bounds."""
    return torch.randn(3, 2, 3, SIZE, SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def problem_of(start: Tensor, groups: range = range(3), augmentation: Augmentation = VIEWS) -> Problem:
    units = [("small", "image", group, 0) for group in groups]
    transforms = augmentation.draw(0, units, SETTINGS.iterations, SIZE)
    return Problem(
        start,
        torch.tensor(TARGETS),
        transforms,
        variance_weight=VARIANCE_WEIGHT,
        project=lambda images: images.clamp_(-BOUND, BOUND),
    )


def reference_gradient(teacher: nn.Module, images: Tensor, problem: Problem, iteration: int) -> Tensor:
    """Gradient of the loss of one group's ``images`` [n, 3, H, W]; the transforms are tested by themselves."""
    images = images.clone().requires_grad_()
    seen = problem.transforms[iteration](images[None])[0]
    cross_entropy, penalty = loss_terms(teacher, seen, TARGETS, SETTINGS.first_bn_multiplier, VARIANCE_WEIGHT)
    return torch.autograd.grad(cross_entropy + SETTINGS.bn_weight * penalty, images)[0]


def test_loss_and_gradient_at_given_images(teacher, start):
    gradient, cross_entropy, penalty = MatchingLoss(teacher, problem_of(start), SETTINGS).gradient(
        start, problem_of(start).transforms[4]
    )
    for g in range(3):
        alone = problem_of(start[g : g + 1], range(g, g + 1))
        seen = alone.transforms[4](start[g : g + 1])[0]
        expected = loss_terms(teacher, seen, TARGETS, SETTINGS.first_bn_multiplier, VARIANCE_WEIGHT)
        torch.testing.assert_close((cross_entropy[g], penalty[g]), expected, rtol=1e-12, atol=1e-12)
        expected = reference_gradient(teacher, start[g], alone, 4)
        torch.testing.assert_close(gradient[g], expected, rtol=1e-11, atol=1e-13)


def test_gradient_by_central_differences(teacher, start):
    problem, step = problem_of(start[:1], range(1)), 1e-5
    objective = MatchingLoss(teacher, problem, SETTINGS)

    def loss(images: Tensor) -> float:
        _, cross_entropy, penalty = objective.gradient(images, problem.transforms[0])
        return (cross_entropy + SETTINGS.bn_weight * penalty).item()

    gradient, _, _ = objective.gradient(start[:1], problem.transforms[0])
    for index in [(0, 0, 0, 3, 3), (0, 1, 1, 3, 6), (0, 1, 2, 5, 4)]:
        nudge = torch.zeros_like(start[:1])
        nudge[index] = step
        slope = (loss(start[:1] + nudge) - loss(start[:1] - nudge)) / (2 * step)
        assert slope == pytest.approx(gradient[index].item(), rel=1e-6, abs=1e-8)


def test_every_group_goes_its_own_way_and_is_clipped_after_every_step(teacher, start):
    together = descend(MatchingLoss(teacher, problem_of(start), SETTINGS), problem_of(start), SETTINGS)
    for g in range(3):
        alone = problem_of(start[g : g + 1], range(g, g + 1))
        expected = adam(
            lambda images, t, alone=alone: reference_gradient(teacher, images, alone, t),
            start[g],
            SETTINGS.lr,
            SETTINGS.iterations,
            project=lambda images: images.clamp(-BOUND, BOUND),
        )
        assert (together[g] - expected).abs().max() < 1e-9
    assert together.abs().max() == BOUND and (together != start.clamp(-BOUND, BOUND)).float().mean() > 0.5


@pytest.mark.slow
def test_compiled_equals_eager(teacher, start):
    problem = problem_of(start)
    eager, compiled = MatchingLoss(teacher, problem, SETTINGS), MatchingLoss(teacher, problem, SETTINGS)
    assert compiled.compile()
    ends = [descend(objective, problem, SETTINGS) for objective in (compiled, eager)]
    assert (ends[0] - ends[1]).abs().max() < 1e-9


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu(teacher, start):
    on_gpu = [optimise(teacher, problem_of(start.cuda()), SETTINGS).variable for _ in range(2)]
    assert torch.equal(*on_gpu)
    torch.testing.assert_close(on_gpu[0], optimise(teacher, problem_of(start), SETTINGS).variable, rtol=1e-6, atol=1e-6)


@pytest.fixture
def made(make_context):
    """The set of a method, of two images per class in chunks of four classes; made once in a session."""

    def make(method: str, *overrides: str):
        words = (f"method={method}", "K=null", "ipc=2", "method.batch_size=4", "method.iterations=3", "M=1")
        return distilled_set(make_context(*words, *overrides))

    return make


@pytest.mark.parametrize("method", METHODS)
def test_a_set_holds_the_images_of_its_batches_class_by_class(made, method):
    images = made(method)
    pixels, targets = images.images().pixels, images.targets()
    assert pixels.dtype == torch.uint8 and pixels.shape == (20, 3, 8, 8)
    assert targets.tolist() == [c for c in range(10) for _ in range(2)]
    for batch in images.batches:
        for i, index in enumerate(batch.indices):
            for c, target in enumerate(batch.classes):
                assert index >= 2 or torch.equal(pixels[2 * target + index], batch.images()[i, c])


@pytest.mark.parametrize("method", METHODS)
def test_blocks_are_the_images_as_they_are_stored(made, method):
    images = made(method, "method.group=3") if method != "dwa" else made(method)
    data = images.context.data
    stored = data.normalisation.normalise(images.images().pixels)
    for block in images.blocks:
        assert torch.equal(block.images()[: len(block.rows)], stored[block.rows])
    assert torch.cat([block.rows for block in images.blocks]).sort().values.tolist() == list(range(20))


@pytest.mark.parametrize("method", METHODS)
def test_a_larger_set_adds_batches_to_those_of_a_smaller_one(made, method):
    small, large = ({batch.signature for batch in made(method, f"ipc={ipc}").batches} for ipc in (2, 3))
    assert small < large if method == "dwa" else small <= large


@pytest.mark.parametrize("method", METHODS)
def test_making_a_batch_again_gives_the_same_bytes(made, method, tmp_path):
    batch = made(method).batches[1]
    before = batch.images()
    batch.make(Workspace(tmp_path, tmp_path))
    assert (tmp_path / "images.safetensors").read_bytes() == (
        batch.context.folder(batch) / "images.safetensors"
    ).read_bytes()
    assert before.float().std() > 20


@pytest.mark.parametrize("method", METHODS)
def test_every_batch_keeps_its_curves(made, method):
    images = made(method)
    images.images()
    for batch in images.batches:
        curves = load_tensors(batch.context.folder(batch) / "curves.safetensors")
        assert set(curves) == {"iteration", "cross_entropy", "bn_penalty", "distance", "saturated_share"}
        assert curves["distance"].shape == (3, len(batch.indices))
        assert (curves["distance"][0] == 0).all() and (curves["distance"][-1] > 0).all()


def test_noise_belongs_to_the_image_and_not_to_its_batch(made):
    chunks, whole = made("sre2l"), made("sre2l", "method.batch_size=100", "method.group=1")
    of_chunks = torch.cat([batch.start() for batch in chunks.batches if batch.indices.start == 0], dim=1)
    of_indices = torch.cat([batch.start() for batch in whole.batches])
    assert torch.equal(of_chunks[:2], of_indices)
    assert of_indices.mean().abs() < 0.05 and of_indices.std().item() == pytest.approx(1, abs=0.05)
    assert not torch.equal(of_indices, made("sre2l", "seed=1", "method.group=2").batches[0].start()[:2])


def test_dwa_begins_with_the_natural_subsets(made):
    images = made("dwa")
    data = images.context.data
    begun = torch.cat([b.start() for b in images.batches if b.classes.start == 4])
    assert torch.equal(begun, data.normalisation.normalise(data.natural(0, 0, 2))[:, 4:8])


def test_dwa_s_published_settings_add_the_gradients_of_the_climb(made, resolved):
    plain, added = (made("dwa", f"method.accumulate_ascent_gradient={value}") for value in ("false", "true"))
    assert plain.signature == made("dwa").signature != added.signature
    assert not torch.equal(plain.images().pixels, added.images().pixels)
    for family, value in {"cifar": True, "tiny": True, "imagenet": True, "digits": False, "folder": False}.items():
        config = resolved("method=dwa", "dataset=folder", "dataset.root=x", f"family={family}")
        assert config.method.accumulate_ascent_gradient is value


def test_cda_is_sre2l_with_a_curriculum(made):
    assert made("cda").name.startswith("digits-cda") and made("sre2l").name.startswith("digits-sre2l")
    plain = made("cda", "method.crop_milestone=0", "method.crop_scale_min=null", "method.group=2")
    assert plain.signature == made("sre2l", "method.group=2").signature


@pytest.mark.parametrize("method", METHODS)
def test_the_teacher_that_distils_needs_batch_norms(make_context, method):
    words = (f"method={method}", "K=null", "ipc=2")
    first = make_context(*words, "teachers.archs=[convnet3_w32,resnet8_w8]")
    with pytest.raises(UsageError, match="teacher convnet3_w32 has no batch-norm layers") as caught:
        preflight.check(first, {})
    assert "\n" not in str(caught.value) and f"method={method}" in str(caught.value)
    preflight.check(make_context(*words, "teachers.archs=[resnet8_w8,convnet3_w32]"), {})


@pytest.mark.parametrize("method", METHODS)
def test_natural_subsets_mean_nothing_to_whole_images(made, method):
    with pytest.raises(UsageError, match=f"K=3 does not apply to method={method}"):
        made(method, "K=3")


def test_dwa_needs_a_real_image_for_each_of_its_own(made):
    with pytest.raises(UsageError, match="ipc=500 asks for"):
        made("dwa", "ipc=500")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("method=sre2l method.crop_milestone=1", "method.crop_milestone=1.0 is not possible"),
        ("method=cda method.crop_milestone=1.5", r"it must lie in \[0, 1\]"),
        ("method=cda method.crop_scale_min=0", r"method.crop_scale_min=0.0 is not possible"),
        ("method=sre2l method.batch_size=0", "method.batch_size=0"),
        ("method=dwa method.variance_weight=-1", "method.variance_weight=-1"),
    ],
)
def test_settings_out_of_range(resolved, words, message):
    with pytest.raises(UsageError, match=message):
        resolved(*words.split())
