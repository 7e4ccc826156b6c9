"""A teacher that is read instead of trained: the same network, tested like any other and kept without a pickle."""

from pathlib import Path

import pytest
import torch

from infer.config import Stage
from infer.errors import RunError, UsageError
from infer.models import build
from infer.pipeline import preflight
from infer.stages.squeeze import check_teachers
from infer.teachers.teacher import Teacher

ARCH = "resnet8_w8"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "ckpt.pth"
    torch.save({"state_dict": {f"module.{n}": v for n, v in build(ARCH, 10, 8).state_dict().items()}}, path)
    return path


@pytest.fixture
def teacher(make_context, checkpoint):
    """The teacher of a run that names ``checkpoint`` and whatever else is typed."""

    def read(*words: str) -> Teacher:
        return Teacher(
            make_context(f"teachers.archs=[{ARCH}]", f"teachers.checkpoints={{{ARCH}: {checkpoint}}}", *words), ARCH
        )

    return read


def test_it_is_the_network_in_the_file(teacher, checkpoint):
    read = teacher()
    stored = torch.load(checkpoint, weights_only=True)["state_dict"]
    found = read.network().state_dict()
    assert all(torch.equal(found[name.removeprefix("module.")], value) for name, value in stored.items())


def test_it_is_tested_on_the_test_split(teacher):
    read = teacher()
    test = read._context.data.test
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (read._context.data.mean, read._context.data.std))
    predicted = read.network()((test.images / 255 - mean) / std).argmax(1)
    assert read.top1 == pytest.approx(100 * (predicted == test.targets).double().mean().item())
    assert read.history() == [{"epoch": 0, "step": 0, **read.facts["scores"]}]


def test_nothing_in_the_store_is_a_pickle(teacher):
    read = teacher()
    assert {path.suffix for path in read._context.folder(read).iterdir()} == {".safetensors", ".json"}


def test_its_signature_is_the_files_content_and_no_recipe(teacher, checkpoint, tmp_path):
    first = teacher().signature
    assert teacher("teachers.epochs=7", "teachers.lr=3", "seed=5", "precision=bf16").signature == first
    moved = checkpoint.rename(tmp_path / "other.pth")
    again = teacher(f"teachers.checkpoints={{{ARCH}: {moved}}}")
    assert again.signature == first
    torch.save(build(ARCH, 10, 8).state_dict(), moved)
    assert teacher(f"teachers.checkpoints={{{ARCH}: {moved}}}").signature != first


def test_the_others_of_the_ensemble_are_trained_as_before(teacher, make_context):
    both = f"teachers.archs=[{ARCH},convnet3_w32_batchnorm]"
    beside = Teacher(teacher(both)._context, "convnet3_w32_batchnorm")
    assert beside.signature == Teacher(make_context(both), "convnet3_w32_batchnorm").signature


def test_a_teacher_that_does_not_know_the_classes_stops_the_run(teacher):
    read = teacher("teachers.min_top1=99")
    with pytest.raises(RunError, match="Give weights that were trained on these classes"):
        check_teachers(read._context, [read])


def test_a_file_that_is_not_there_is_said_before_any_work(teacher, checkpoint):
    checkpoint.unlink()
    with pytest.raises(UsageError, match="names no file"):
        _ = teacher().signature


def test_weights_that_do_not_fit_are_said_before_any_work(teacher, checkpoint):
    torch.save(build("resnet8_w16", 10, 8).state_dict(), checkpoint)
    context = (read := teacher())._context
    with pytest.raises(UsageError, match="conv1.weight is"):
        preflight.check(context, {Stage.squeeze: [read]})
    torch.save(build(ARCH, 10, 8).state_dict(), checkpoint)
    preflight.check(context, {Stage.squeeze: [teacher()]})


def test_an_architecture_without_a_teacher_is_refused(make_context):
    with pytest.raises(UsageError, match="no teacher has that architecture"):
        make_context("teachers.checkpoints={resnet50: x.pth}")


def test_a_name_goes_for_every_architecture(make_context):
    config = make_context("teachers.checkpoints=IMAGENET1K_V1").config
    assert [config.teachers.checkpoint_of(arch) for arch in config.ensemble] == ["IMAGENET1K_V1"] * 2


@pytest.mark.parametrize("given", ["7", f"{{{ARCH}: 7}}"])
def test_what_is_no_mapping_to_files_is_refused(make_context, given):
    with pytest.raises(UsageError, match="give a file for an architecture"):
        make_context(f"teachers.checkpoints={given}")
