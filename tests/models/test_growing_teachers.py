"""Signatures of teachers whose images grow: a setting that changes nothing is not in them."""

import pytest

from infer.teachers.teacher import Teacher

ARCH = "resnet8_w8"


def _teacher(make_context, words: str) -> Teacher:
    return Teacher(make_context(f"teachers.archs=[{ARCH}]", *words.split()), ARCH)


@pytest.mark.parametrize(
    ("given", "size"),
    [("teachers.epochs=3", 8), ("teachers.epochs=1", 4), ("teachers.epochs=null teachers.steps=9", 4)],
)
def test_a_training_in_which_nothing_grows_is_the_one_without_growth(make_context, given, size):
    """Images that begin at their own size, and trainings of one epoch."""
    still, growing = (_teacher(make_context, f"{given} teachers.start_size={start}") for start in ("null", size))
    assert growing.signature == still.signature and growing.work == still.work
    assert growing.plan == still.plan, "which the key of its checkpoint is made of"


@pytest.mark.parametrize("given", ["teachers.epochs=2", "teachers.epochs=3 teachers.full_size_from=0.9"])
def test_a_training_in_which_images_grow_is_another(make_context, given):
    still, growing = (_teacher(make_context, f"{given} teachers.start_size={size}") for size in ("null", "4"))
    settings = make_context(*given.split()).config.teachers
    growth = {"start_size": 4, "grow_from": settings.grow_from, "full_size_from": settings.full_size_from}
    assert growing.settings == still.settings | {"training": still.settings["training"] | growth}
    assert still.plan.growth is None and growing.plan.growth is not None
