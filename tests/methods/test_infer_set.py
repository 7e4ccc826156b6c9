"""A distilled set is assembled from groups that other sets share."""

import pytest
import torch

from infer.data.on_demand import OnDemand
from infer.distilled.compose import round_compensators, unround_compensators
from infer.errors import UsageError
from infer.methods.registry import distilled_set
from infer.methods.sets import infer_set


def _groups(images) -> set[str]:
    return {group.signature for groups in images.groups for group in groups}


def test_sweeps_over_m_and_k_share_groups(make_context):
    whole = _groups(distilled_set(make_context()))
    assert len(whole) == 2 * 2  # two teachers, K=3 in groups of two
    assert _groups(distilled_set(make_context("K=1"))) < whole
    assert _groups(distilled_set(make_context("M=1"))) < whole


@pytest.mark.parametrize("statistics", ["all", "each"])
def test_chunks_of_classes_leave_the_subsets_nested(make_context, statistics):
    words = "method.class_chunk=3", f"method.chunk_statistics={statistics}"
    whole = _groups(distilled_set(make_context(*words)))
    assert len(whole) == 2 * 2
    assert _groups(distilled_set(make_context(*words, "K=1"))) < whole


@pytest.mark.slow
def test_chunks_of_classes_with_statistics_over_all_give_the_same_compensators(make_context):
    """10 classes in chunks of 3; in double precision, where rounding does not grow over the iterations."""

    def parts(*words):
        images = distilled_set(make_context("method.precision=fp64", "method.compensator_dtype=float32", *words))
        return images.parts()

    natural, compensators = parts()
    assert compensators.abs().max() > 0.1
    in_chunks, each = (
        parts("method.class_chunk=3", f"method.chunk_statistics={statistics}") for statistics in ("all", "each")
    )
    assert torch.equal(in_chunks[0], natural) and torch.equal(each[0], natural)
    torch.testing.assert_close(in_chunks[1], compensators, rtol=1e-5, atol=1e-6)
    assert (each[1] - compensators).abs().max() > 0.01


@pytest.mark.parametrize(
    "word", ["method.iterations=4", "method.lr=0.1", "method.jitter_px=0", "seed=1", "method.bn_weight=0.5"]
)
def test_what_changes_the_result_changes_the_signature(make_context, word):
    assert _groups(distilled_set(make_context(word))).isdisjoint(_groups(distilled_set(make_context())))


@pytest.mark.parametrize("word", ["evaluate.lr=0.5", "labeling=hard", "method.compensator_dtype=float32", "ipc=3"])
def test_what_does_not_change_it_does_not(make_context, word):
    assert _groups(distilled_set(make_context(word))) == _groups(distilled_set(make_context()))


def test_the_stored_parts_are_those_of_the_groups(make_context):
    images = distilled_set(make_context())
    natural, compensators = images.parts()
    assert natural.shape == (3, 10, 3, 8, 8) and compensators.shape == (2, 3, 3, 8, 8)
    assert torch.equal(natural, images.context.data.natural(0, 0, 3))
    for m, groups in enumerate(images.groups):
        free = torch.cat([group.compensators() for group in groups])[:3]
        assert torch.equal(compensators[m], unround_compensators(round_compensators(free, "int8")))
    assert len(images.images()) == images.num_images == len(images.targets()) == 3 * 3 * 10


def test_a_set_too_large_to_be_composed_at_once_has_the_same_images(make_context, monkeypatch):
    images = distilled_set(make_context())
    at_once = images.images().pixels
    monkeypatch.setattr(infer_set, "_COMPOSED_AT_ONCE", 0)
    on_demand = images.images().pixels
    assert isinstance(on_demand, OnDemand) and torch.equal(on_demand[:], at_once)


def test_k_beyond_the_smallest_class_is_refused_before_any_work(make_context):
    with pytest.raises(UsageError, match="K=200 .* has 1[0-9]{2}"):
        distilled_set(make_context("K=200"))


def test_the_last_group_ends_with_the_smallest_class(make_context):
    smallest = min(make_context().data.train_counts)
    images = distilled_set(make_context(f"K={smallest}", "method.group=100"))
    assert images.groups[0][-1].subsets.stop == smallest


def test_random_takes_ipc_and_no_k(make_context):
    assert distilled_set(make_context("method=random", "K=null", "ipc=4")).num_images == 40
    with pytest.raises(UsageError, match="K=3 does not apply"):
        distilled_set(make_context("method=random"))


def test_another_seed_draws_other_images_and_other_compensators(make_context):
    first, other = (distilled_set(make_context(f"seed={seed}", "K=1", "M=1")).parts() for seed in (0, 1))
    assert not torch.equal(first[0], other[0]) and not torch.equal(first[1], other[1])
