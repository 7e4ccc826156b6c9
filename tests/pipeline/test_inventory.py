"""Inventory before a run or a sweep: every artefact once, and what is made of it."""

import pytest

from infer.context import Context
from infer.pipeline.inventory import Inventory
from infer.pipeline.plan import by_stage, plan_evaluations


@pytest.fixture
def counted(make_context):
    """The rows for runs of some command lines; nothing is made."""

    def rows(*runs: tuple[str, ...]) -> dict[str, list[str]]:
        inventory = Inventory()
        for words in runs:
            context: Context = make_context("baselines=[]", "evaluate.repeats=1", *words)
            inventory.add(context, by_stage(plan_evaluations(context, in_sweep=False)))
        return {stage: counts for stage, *counts in inventory.rows}

    return rows


def test_what_runs_share_is_counted_once(counted):
    one, two = counted(("seed=9",)), counted(("seed=9",), ("seed=9", "evaluate.lr=1e-3"))
    assert one["squeeze"] == two["squeeze"] == ["2", "0", "2"] and one["generate"] == two["generate"]
    assert (one["evaluate"], two["evaluate"]) == (["1", "0", "1"], ["2", "0", "2"])


def test_what_is_there_is_made_again_only_by_force(counted, make_context):
    context = make_context("seed=8", "stages=[squeeze]")
    for teacher in by_stage(plan_evaluations(context, in_sweep=True))["squeeze"]:
        context.obtain(teacher)
    assert counted(("seed=8",))["squeeze"] == ["2", "2", "0"]
    assert counted(("seed=8", "force=[squeeze]"))["squeeze"] == ["2", "2", "2"]


def test_stages_that_no_run_asks_for_are_said_to_be_none(counted):
    assert counted(("seed=7", "stages=[squeeze]"))["evaluate"] == ["1", "0", "not asked for"]
    assert counted(("seed=7", "stages=[squeeze]"), ("seed=7", "stages=[evaluate]"))["evaluate"] == ["1", "0", "1"]


def test_stages_without_work_are_left_out(counted):
    assert list(counted(("labeling=hard", "method=random", "K=null"))) == ["generate", "evaluate"]
