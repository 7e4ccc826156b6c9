"""A setting that is out of range is refused in one line that names it."""

from dataclasses import replace

import pytest
from omegaconf.errors import OmegaConfBaseException

from infer.config.teachers import TeachersConfig
from infer.config.training import Crop, Optimizer, Training
from infer.errors import UsageError


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("ipc=0", "ipc=0"),
        ("K=-1", "K=-1"),
        ("M=0", "M=0"),
        ("M=5", "M=5"),
        ("seed=-1", "seed=-1"),
        ("stages=[]", "stages"),
        ("device=tpu", "device=tpu"),
        ("method.lr=0", "method.lr=0"),
        ("method.iterations=0", "method.iterations=0"),
        ("method.group=0", "method.group=0"),
        ("method.class_chunk=0", "method.class_chunk=0"),
        ("teachers.archs=[]", "teachers.archs"),
        ("teachers.archs=[resnet19]", "resnet19"),
        ("student.archs=[vit]", "vit"),
        ("teachers.min_top1=101", "teachers.min_top1=101"),
        ("teachers.min_top1=high", "teachers.min_top1=high"),
        ("evaluate.epochs=3", "evaluate.epochs=3"),
        ("evaluate.steps=null", "evaluate.epochs=None"),
        ("evaluate.repeats=0", "evaluate.repeats=0"),
        ("evaluate.val_fraction=1", "evaluate.val_fraction=1"),
        ("evaluate.momentum=1", "evaluate.momentum=1"),
        ("evaluate.accumulate=0", "evaluate.accumulate=0"),
        ("evaluate.accumulate=3", "evaluate.accumulate=3"),
        ("evaluate.crop_scale_min=1.5", "evaluate.crop_scale_min=1.5"),
        ("evaluate.crop_scale_min=0", "evaluate.crop_scale_min=0"),
        ("evaluate.crop_ratio_max=0.5", "evaluate.crop_ratio_max=0.5"),
        ("evaluate.shuffle_patches=0", "evaluate.shuffle_patches=0"),
        ("evaluate.warmup_start=1", "evaluate.warmup_start=1"),
        ("evaluate.test_from=1", "evaluate.test_from=1"),
        ("evaluate.divide_epochs_by_blocks=true", "divide_epochs_by_blocks"),
        ("+nothing=3", "nothing"),
    ],
)
def test_refused_in_one_line(resolved, word, says):
    with pytest.raises(UsageError) as refusal:
        resolved(word)
    message = str(refusal.value)
    assert says in message
    assert "\n" not in message


@pytest.mark.parametrize("word", ["ipc=ten", "stages=[destill]", "method.group=1.5", "precision=fp8"])
def test_wrong_types_do_not_compose(compose, word):
    with pytest.raises((OmegaConfBaseException, Exception), match="(?i)could not be converted|invalid value|merging"):
        compose(word)


def test_missing_settings_are_listed_together(resolved):
    with pytest.raises(UsageError, match="dataset.root must be given"):
        resolved("dataset=folder")


OTHER_VALUES = {
    "even_batches": True,
    "schedule": "half_cosine",
    "warmup_start": 0.01,
    "decay_norm_and_bias": False,
    "nesterov": True,
    "accumulate": 2,
    "crop": Crop.resized,
    "crop_scale_min": 0.5,
    "crop_ratio_max": 1.0,
    "shuffle_patches": 2,
}
"""Settings that are in a recipe only where they differ from their default."""


def test_every_training_setting_is_part_of_the_recipe():
    """A setting that is added to ``Training`` must enter the signature of what is trained with it."""
    # what normalise means is in signatures, as units, and batch_norm is in a recipe of several ranks
    not_of_weights = {"test_every", "test_from", "normalise", "batch_norm"}
    always = Training(epochs=1).recipe()
    when_used = Training(epochs=1, warmup=0.1, optimizer=Optimizer.sgd, **OTHER_VALUES).recipe()
    assert set(always) | set(OTHER_VALUES) | not_of_weights == set(Training.__dataclass_fields__)
    assert set(when_used) == set(always) | set(OTHER_VALUES)


def test_growth_is_part_of_the_recipe_of_teachers_where_images_grow():
    still = TeachersConfig(epochs=1, archs=["resnet18"])
    assert still.recipe() == replace(still, grow_from=0.1).recipe() == Training(epochs=1).recipe()
    growing = replace(still, start_size=16)
    assert growing.recipe() == still.recipe() | {"start_size": 16, "grow_from": 0.5, "full_size_from": 0.8}


def test_images_grow_from_a_share_of_the_epochs_to_a_later_one(resolved):
    with pytest.raises(UsageError, match=r"teachers.grow_from=0.9 together with teachers.full_size_from=0.8"):
        resolved("teachers.start_size=4", "teachers.grow_from=0.9")
    with pytest.raises(UsageError, match=r"teachers.start_size=2 is not possible: it must be at least 4"):
        resolved("teachers.start_size=2")


def test_settings_without_effect_are_not_part_of_the_recipe():
    assert Training(epochs=1, momentum=0.5).recipe() == Training(epochs=1).recipe()
    assert Training(epochs=1, nesterov=True).recipe() == Training(epochs=1).recipe()
    assert Training(steps=1, schedule_unit="step").recipe() == Training(steps=1).recipe()
    assert Training(epochs=1, warmup_start=0.1).recipe() == Training(epochs=1).recipe()
    assert Training(epochs=1, crop_scale_min=0.5, crop_ratio_max=1).recipe() == Training(epochs=1).recipe()
    assert Training(epochs=1, weight_decay=0, decay_norm_and_bias=False).recipe() == (
        Training(epochs=1, weight_decay=0).recipe()
    )
    resized = {"epochs": 1, "crop": Crop.resized}
    assert Training(**resized, crop_padding=2).recipe() == Training(**resized).recipe()


def test_nesterov_s_form_needs_momentum(resolved):
    with pytest.raises(UsageError, match="teachers.nesterov=true.*needs teachers.momentum above 0"):
        resolved("teachers.nesterov=true", "teachers.momentum=0")


def test_min_top1(resolved):
    assert resolved().teachers.required_top1(10) == 20
    assert resolved().teachers.required_top1(2) == 75
    assert resolved("teachers.min_top1=null").teachers.required_top1(10) == 0
    assert resolved("teachers.min_top1=55.5").teachers.required_top1(10) == 55.5
