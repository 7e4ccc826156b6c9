"""Messages of a run before it begins and when it ends."""

from dataclasses import replace

import pytest
from torch import nn

from infer.config import Stage
from infer.errors import UsageError
from infer.evaluation.comparison import main_evaluation
from infer.pipeline import announcement, preflight
from infer.pipeline.plan import by_stage, plan_evaluations
from infer.stages import report

RANDOM = ("method=random", "K=null", "ipc=13", "M=1", "labeling=hard", "baselines=[]")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            "evaluate.even_batches=false",
            "random, 130 images: 1 in 3 updates is made from the last 2, with the weight of one from 64",
        ),
        ("evaluate.even_batches=true", None),
        ("evaluate.even_batches=false evaluate.batch_size=50", None),
        ("evaluate.even_batches=false evaluate.batch_size=200", None),
    ],
)
def test_a_last_batch_of_a_few_images_is_worth_a_word(make_context, capsys, words, told):
    context = make_context(*RANDOM, *words.split())
    evaluation = main_evaluation(context)
    announcement.announce(context, [evaluation], {})
    assert (told in capsys.readouterr().out) if told else ("updates is made" not in capsys.readouterr().out)


@pytest.mark.parametrize(
    ("words", "has_instructions", "told"),
    [
        ("precision=bf16", False, True),
        ("precision=auto evaluate.precision=bf16", False, True),
        ("precision=bf16", True, False),
        ("precision=fp32 evaluate.precision=bf16", False, False),
    ],
)
def test_bf16_on_a_processor_without_its_instructions_is_worth_a_word(
    make_context, capsys, monkeypatch, words, has_instructions, told
):
    monkeypatch.setattr("infer.context.cpu_computes_bf16", lambda: has_instructions)
    context = make_context(*RANDOM, *words.split())
    context = replace(context, precision="bf16" if "precision=bf16" in words.split() else "fp32")
    evaluations = plan_evaluations(context, in_sweep=False)
    announcement.announce(context, evaluations, by_stage(evaluations))
    assert ("Type precision=fp32" in " ".join(capsys.readouterr().out.split())) == told


@pytest.mark.parametrize("word", ["labeling=fkd", "labeling.source=set", "labeling.path=somewhere", "stages=[report]"])
def test_other_labels_are_proposed_without_the_words_of_these(make_context, capsys, word):
    context = make_context(*RANDOM)
    context.overrides = ["ipc=13", word, "seed=1"]
    report._print_next(context, has_set=False)
    assert "python launch.py ipc=13 seed=1 labeling=dynamic" in capsys.readouterr().out.replace("\n", " ")


def test_images_that_grow_must_fit_the_networks_and_be_smaller_at_first(make_context):
    def check(*words: str) -> None:
        context = make_context(*RANDOM, "labeling=dynamic", *words)
        preflight.check(context, by_stage(plan_evaluations(context, in_sweep=False)))

    check("teachers.archs=[resnet8_w8]", "teachers.start_size=4")
    check("teachers.archs=[convnet3_w32]", "teachers.start_size=8")
    with pytest.raises(UsageError, match="start_size=4 is not possible: convnet3_w32, built for 8x8 pixels,"):
        check("teachers.archs=[convnet3_w32]", "teachers.start_size=4")
    with pytest.raises(UsageError, match="start_size=12 is larger than the images, 8x8 pixels"):
        check("teachers.archs=[resnet8_w8]", "teachers.start_size=12")


@pytest.mark.parametrize(
    ("arch", "grows"),
    [
        ("timm/vit_tiny_patch16_224", False),
        ("torchvision/vit_b_16", False),
        ("timm/mixer_s32_224", False),
        ("timm/resnet10t", True),
        ("torchvision/squeezenet1_1", True),
    ],
)
def test_networks_of_libraries_that_fix_the_size_of_their_images(make_context, arch, grows):
    context = make_context(*RANDOM, "labeling=dynamic", f"teachers.archs=[{arch}]", "teachers.start_size=32")
    context.data = replace(context.data, image_size=64)
    teachers = by_stage(plan_evaluations(context, in_sweep=False))[Stage.squeeze]
    if grows:
        preflight.check_growth(context, teachers)
        return
    with pytest.raises(
        UsageError, match=f"start_size=32 is not possible: {arch}, built for 64x64 pixels, cannot take 32"
    ):
        preflight.check_growth(context, teachers)


def test_a_network_whose_outline_cannot_be_trained_is_not_refused_for_its_size(make_context, monkeypatch):
    """Its numbers decide on its path, and an outline has none."""

    class Deciding(nn.Module):
        def forward(self, images):
            return images if images.sum() > 0 else -images

    monkeypatch.setattr(preflight, "_outline", lambda *_: Deciding())
    context = make_context(*RANDOM, "labeling=dynamic", "teachers.archs=[resnet8_w8]", "teachers.start_size=4")
    preflight.check_growth(context, by_stage(plan_evaluations(context, in_sweep=False))[Stage.squeeze])
