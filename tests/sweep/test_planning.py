"""A sweep's work is counted as its jobs will find it, or said to be unknown where only they will know."""

import pytest
import torch

from infer.console import Console
from infer.pipeline.plan import by_stage, plan_evaluations
from infer.pipeline.prepare import prepare
from infer.records.names import RECORD
from infer.sweep.planning import plan_sweep

SMALL = ("teachers.archs=[resnet8_w8]", "method=random", "ipc=1", "evaluate.repeats=1")


@pytest.fixture
def planned(resolved, tmp_path):
    """The settings for some words, in outputs where everything seems to have been made in fp32."""
    fp32 = resolved(*SMALL, "device=cpu", f"outputs={tmp_path}")
    context = prepare(fp32, tmp_path, Console(brief=True), [])
    for artefacts in by_stage(plan_evaluations(context, in_sweep=True)).values():
        for artefact in artefacts:
            folder = context.store.folder(artefact)
            folder.mkdir(parents=True)
            (folder / RECORD).touch()
    return lambda *words: resolved(*SMALL, f"outputs={tmp_path}", *words)


def to_make(config) -> dict[str, str]:
    """Number of artefacts that a sweep of one job has to make, by stage."""
    plan = plan_sweep([config], compares=True)
    assert plan.precision_known
    return {stage: number for stage, _, _, number in plan.inventory.rows}


@pytest.mark.parametrize("words", ["precision=fp32", "device=cpu", "cluster.gpus=0", "device=cuda precision=fp32"])
def test_what_slurms_jobs_find_is_counted_where_their_precision_is_certain(planned, monkeypatch, words):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)  # of the machine that plans
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert set(to_make(planned("cluster=slurm", *words.split())).values()) == {"0"}


def test_the_processor_of_another_machine_decides_on_larger_images(planned):
    config = planned("cluster=slurm", "device=cpu", "scale.image_size=32")
    assert not plan_sweep([config], compares=True).precision_known


def test_what_was_made_in_another_precision_is_not_there(planned):
    made = to_make(planned("cluster=slurm", "precision=bf16", "device=cuda"))
    assert made == {"squeeze": "1", "generate": "0", "relabel": "2", "evaluate": "1"}  # images have no precision


@pytest.mark.parametrize("words", ["", "device=cuda", "cluster.gpus=null", "device=cuda cluster.gpus=0"])
def test_with_gpus_elsewhere_only_the_units_are_told(planned, capsys, words):
    configs = [planned("cluster=slurm", *words.split()), planned("cluster=slurm", "precision=fp32")]
    plan_sweep(configs, compares=True).announce(Console())
    said = capsys.readouterr().out
    assert "to make" not in said and "squeeze" in said
    assert "type precision=bf16 or precision=fp32" in " ".join(said.split())


@pytest.mark.parametrize(("words", "told"), [("device=cpu", True), ("cluster=slurm cluster.gpus=0", False)])
def test_bf16_that_this_processor_emulates_is_told_for_jobs_of_this_machine(planned, capsys, monkeypatch, words, told):
    monkeypatch.setattr("infer.context.cpu_computes_bf16", lambda: False)
    plan_sweep([planned("precision=bf16", *words.split())], compares=True).announce(Console())
    assert ("Type precision=fp32" in " ".join(capsys.readouterr().out.split())) == told


def test_here_everything_is_told(planned, capsys):
    plan_sweep([planned("device=cpu")], compares=True).announce(Console())
    assert "to make" in (said := capsys.readouterr().out) and "precision" not in said
