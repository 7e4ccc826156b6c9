"""Random images stand beside a set at its bytes, at its nominal ipc and at its number of images."""

import pytest

from infer.config import Baseline
from infer.errors import UsageError
from infer.evaluation.comparison import baseline_evaluations, main_evaluation

BUDGETS = "baseline_budgets=[bytes,ipc,images]"


def _baselines(make_context, *words):
    context = make_context(*words)
    main = main_evaluation(context)
    evaluations = baseline_evaluations(context, main, context.config.baselines_of(in_sweep=False))
    return main, {each.labelled.name: each for each in evaluations}


def test_three_budgets_of_one_set(make_context):
    main, baselines = _baselines(make_context, BUDGETS, "baselines=[random_static,full]", "K=null", "ipc=10")
    assert list(baselines) == ["random_static", "random_static@ipc", "random_static@images", "full"]
    sizes = {name: each.labelled.images.num_images // 10 for name, each in baselines.items()}
    composed = main.labelled.images.num_images // 10
    assert (sizes["random_static@ipc"], sizes["random_static@images"]) == (10, composed)
    assert baselines["random_static"].storage()["total_bytes"] <= main.storage()["total_bytes"]
    assert {each.num_steps for each in baselines.values()} == {main.num_steps}


def test_a_k_given_by_hand_is_charged_and_rounded(make_context):
    """K=7 and M=2 of ten classes are charged 8.4 images per class."""
    _, baselines = _baselines(make_context, "baseline_budgets=[ipc]", "baselines=[random_hard]", "K=7", "ipc=1")
    assert list(baselines) == ["random_hard@ipc"]
    assert baselines["random_hard@ipc"].labelled.images.num_images == 10 * 8


def test_without_a_budget_there_is_no_baseline(make_context):
    with pytest.raises(UsageError, match=r"baseline_budgets=\[\]"):
        make_context("baseline_budgets=[]")


def test_every_random_baseline_has_labels_of_its_mode(make_context):
    _, baselines = _baselines(make_context, BUDGETS, "baselines=[random_dynamic,random_fkd]", "labeling=fkd")
    assert {name: each.labelled.labels.mode for name, each in baselines.items()} == {
        f"{name}{at}": name.removeprefix("random_")
        for name in (Baseline.random_dynamic.value, Baseline.random_fkd.value)
        for at in ("", "@ipc", "@images")
    }
