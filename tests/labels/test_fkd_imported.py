"""Labels made elsewhere: students see the crops, flips and mixing that were stored, and learn the stored logits."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.published_fkd import applied, write_folder
from torch.nn.functional import kl_div, log_softmax

import infer
from infer.commands.main import run
from infer.context import Context
from infer.distilled.fkd import LOGITS
from infer.distilled.fkd_files import fkd_file
from infer.errors import UsageError
from infer.evaluation.comparison import Evaluation, main_evaluation
from infer.evaluation.protocol import student_normalisation
from infer.labels.fkd_imported import ImportedFkdChunk
from infer.pipeline.run_folder import write_distilled_folder
from infer.store.files import load_tensors
from infer.teachers.teacher import Teacher
from infer.training.batches import Batch, BatchSource

PROTOCOL = (
    "evaluate.steps=null",
    "evaluate.epochs=3",
    "evaluate.batch_size=16",
    "evaluate.even_batches=false",
    "evaluate.crop=resized",
    "evaluate.flip=true",
    "evaluate.repeats=1",
    "student.archs=[convnet3_w32_batchnorm]",
)
RANDOM = ("method=random", "K=null", "ipc=5", *PROTOCOL)
CLASSES = torch.arange(10).repeat_interleave(5)


@pytest.fixture
def evaluation(make_context, monkeypatch):
    """The distilled set and its labels, under a protocol that asks for cropped and mirrored batches of 16.

    No teacher may be asked.
    """

    def make(*words: str) -> Evaluation:
        return main_evaluation(make_context(*words))

    monkeypatch.setattr(Teacher, "make", lambda *_: pytest.fail("a teacher was trained"))
    return make


def labelled(path: Path, mix: str) -> tuple[str, ...]:
    return (*RANDOM, "labeling=fkd", f"labeling.path='{path}'", f"evaluate.mix={mix}")


def batches_of(evaluation: Evaluation, epoch: int) -> list[Batch]:
    """Batches of the student, with its own normalisation."""
    student = next(iter(evaluation.students.values()))[0]
    images = evaluation.labelled.images.images().renormalised(student_normalisation(evaluation.context))
    return list(BatchSource(images, student.plan, evaluation.labelled.labels.draws).epoch(epoch))


def pixels_of(evaluation: Evaluation) -> torch.Tensor:
    images = evaluation.labelled.images.images()
    return images.normalised(images.pixels)


def logits_of(evaluation: Evaluation) -> torch.Tensor:
    """The stored logits of all epochs."""
    labels = evaluation.labelled.labels
    files = [folder / fkd_file(c.epochs.start, LOGITS) for c, folder in zip(labels.chunks, labels.folders, strict=True)]
    return torch.cat([load_tensors(file)["logits"] for file in files])


def scores_of(evaluation: Evaluation) -> dict[str, float]:
    (students,) = evaluation.students.values()
    return students[0].facts["scores"]


@pytest.mark.parametrize("items", [6, 7, 8])
@pytest.mark.parametrize("mix", ["cutmix", "mixup", "none"])
def test_students_see_the_stored_batches_and_learn_the_stored_logits(evaluation, tmp_path, mix, items):
    written = write_folder(tmp_path, CLASSES, mix, items=items)
    found = evaluation(*labelled(tmp_path, mix))
    pixels, context = pixels_of(found), found.context
    objective = found.labelled.labels.objective(context.device, student_normalisation(context))
    temperature = context.config.evaluate.temperature
    for epoch in (0, 2):
        for batch, (rows, content) in zip(batches_of(found, epoch), written[epoch], strict=True):
            assert batch.index.tolist() == rows
            torch.testing.assert_close(batch.images, applied(pixels, rows, content), rtol=0, atol=1e-5)
            student = torch.randn(len(rows), 10)
            target = log_softmax(content[5].float() / temperature, dim=1)
            expected = kl_div(log_softmax(student / temperature, 1), target, reduction="batchmean", log_target=True)
            torch.testing.assert_close(objective(student, batch), expected)


def bytes_on_disk(evaluation: Evaluation) -> int:
    """Bytes of the tensors of the labels in the store."""
    folders = (evaluation.context.folder(chunk) for chunk in evaluation.labelled.labels.chunks)
    tensors = (load_tensors(file).values() for folder in folders for file in folder.glob("*.safetensors"))
    return sum(tensor.nbytes for stored in tensors for tensor in stored)


def test_they_cost_what_is_stored_of_them(evaluation, tmp_path):
    write_folder(tmp_path, CLASSES, "cutmix", items=7)
    found = evaluation(*labelled(tmp_path, "cutmix"))
    per_epoch = 50 * (2 * 10 + 1 + 4 + 1 + 1) + 4 * (8 + 4)  # whatever the files take in which they came
    assert found.labelled.labels.label_bytes == bytes_on_disk(found) == 3 * per_epoch
    fewer = evaluation(*labelled(tmp_path, "cutmix"), "labeling.epochs_stored=2")
    assert fewer.labelled.labels.label_bytes == bytes_on_disk(fewer) == 2 * per_epoch


def test_a_student_is_trained_on_them_without_teachers(evaluation, tmp_path):
    write_folder(tmp_path, CLASSES, "cutmix")
    found = evaluation(*labelled(tmp_path, "cutmix"))
    assert scores_of(found)["test/top1"] > 10
    assert [stage.value for stage in {parent.stage for parent in found.labelled.labels.parents.values()}] == ["relabel"]


def test_fewer_stored_epochs_come_again(evaluation, tmp_path):
    write_folder(tmp_path, CLASSES, "mixup", epochs=2)
    found = evaluation(*labelled(tmp_path, "mixup"), "labeling.epochs_stored=2", "evaluate.epochs=5")
    for first, again in zip(batches_of(found, 1), batches_of(found, 3), strict=True):
        assert torch.equal(first.images, again.images) and (first.epoch, first.first) == (again.epoch, again.first)


def test_more_epochs_than_a_chunk_holds(evaluation, tmp_path):
    written = write_folder(tmp_path, CLASSES, "mixup", epochs=12)
    found = evaluation(*labelled(tmp_path, "mixup"), "evaluate.epochs=12")
    assert [chunk.epochs for chunk in found.labelled.labels.chunks] == [range(10), range(10, 12)]
    assert [batch.index.tolist() for batch in batches_of(found, 11)] == [rows for rows, _ in written[11]]
    content = torch.cat([batch[5] for _, batch in written[11]])
    assert torch.equal(logits_of(found)[11], content)


def test_images_are_counted_class_by_class_whatever_the_order_of_the_set(make_context, tmp_path):
    classes = torch.arange(10).repeat_interleave(4)
    written = write_folder(tmp_path, classes, "mixup", items=7)
    words = ("M=1", "K=2", *PROTOCOL, "labeling=fkd", f"labeling.path='{tmp_path}'", "evaluate.mix=mixup")
    found = main_evaluation(make_context(*words))  # natural and composed images in turn
    targets = found.labelled.images.targets()
    assert not torch.equal(targets, classes)
    for batch, (rows, _) in zip(batches_of(found, 0), written[0], strict=True):
        assert torch.equal(targets[batch.index], classes[rows])
    shown = torch.cat([batch.index for batch in batches_of(found, 0)])
    assert shown.sort().values.tolist() == list(range(40))


def test_a_last_batch_of_one_image_is_shown_as_two(evaluation, tmp_path):
    write_folder(tmp_path, CLASSES, "cutmix", batch_size=7)
    *_, last = batches_of(evaluation(*labelled(tmp_path, "cutmix"), "evaluate.batch_size=7"), 0)
    assert len(last.index) == 2 and torch.equal(last.images[0], last.images[1])


def test_they_are_known_by_their_content(evaluation, tmp_path):
    write_folder(tmp_path / "a", CLASSES, "mixup")
    shutil.copytree(tmp_path / "a", tmp_path / "b")

    def signature(name: str) -> str:
        found = evaluation(*labelled(tmp_path / name, "mixup"))
        return next(iter(found.students.values()))[0].signature

    assert signature("a") == signature("b")
    file = tmp_path / "b" / "epoch_2" / "batch_1.tar"
    content = torch.load(file)
    content[5] += 1
    torch.save(content, file)
    assert signature("a") != signature("b")


@pytest.mark.parametrize(
    ("words", "overrides"),
    [
        ([], {}),
        (["evaluate.batch_size=32"], {"batch_size": 16}),
        (["evaluate.even_batches=true"], {"even_batches": False}),
        (["evaluate.even_batches=true", "evaluate.batch_size=5"], {"even_batches": False, "batch_size": 16}),
        (["evaluate.mix=mixup"], {"mix": "cutmix"}),
        (["evaluate.mix=none", "evaluate.flip=false"], {"mix": "cutmix", "flip": True}),
        (["evaluate.crop=padded"], {"crop": "resized"}),
        (["evaluate.shuffle_patches=2"], {"shuffle_patches": 1}),
    ],
)
def test_the_stored_batches_override_the_protocol(evaluation, tmp_path, words, overrides):
    write_folder(tmp_path, CLASSES, "cutmix")
    found, asked = evaluation(*labelled(tmp_path, "cutmix"), *words), evaluation(*labelled(tmp_path, "cutmix"))
    assert found.overrides == {f"evaluate.{name}": value for name, value in overrides.items()}
    (ours,), (theirs,) = *found.students.values(), *asked.students.values()
    assert ours.plan == theirs.plan == found.plan and ours.signature == theirs.signature
    assert scores_of(found) == scores_of(asked)


def test_a_border_is_as_wide_as_crops_reach(make_context, tmp_path):
    """Any epoch may hold it; of a wider one nothing is seen."""
    words = ("method=random", "K=null", "ipc=5", *PROTOCOL, *MIXES["mixup"], "M=1", "labeling=fkd")
    _, folder = _stored(make_context(*words), tmp_path / "run")
    images, labels = _exported(folder, "sre2l"), _exported(folder, "fkd")
    imported = ("method=imported", "K=null", f"method.path='{images}'", *PROTOCOL, *MIXES["mixup"], "labeling=fkd")
    narrow, equal, wide = (
        main_evaluation(make_context(*imported, f"labeling.path='{labels}'", f"evaluate.crop_padding={pixels}"))
        for pixels in (1, 2, 3)
    )
    assert [found.overrides for found in (narrow, equal, wide)] == [{"evaluate.crop_padding": 2}, {}, {}]
    for batch, others in zip(batches_of(wide, 1), batches_of(equal, 1), strict=True):
        assert torch.equal(batch.images, others.images)


@pytest.mark.slow
def test_overridden_settings_are_said_once_starred_and_recorded(launch_in, tmp_path):
    write_folder(tmp_path / "fkd", CLASSES, "cutmix")
    words = [word for word in RANDOM if not word.startswith(("evaluate.crop", "evaluate.flip"))]
    words += ["labeling=fkd", f"labeling.path={tmp_path / 'fkd'}", "baselines=[]", "stages=[generate,relabel,evaluate]"]
    finished = launch_in(tmp_path, *words)
    assert finished.returncode == 0, finished.stderr
    told = "evaluate.mix=cutmix evaluate.crop=resized evaluate.flip=true: these settings replace the protocol's"
    assert finished.stdout.count("replace the protocol's") == 1 and told in " ".join(finished.stdout.split())
    (record,) = (tmp_path / "outputs" / "runs").glob("*/result.json")
    environment = json.loads(record.read_text())["environment"]
    expected = {"evaluate.mix": "cutmix", "evaluate.crop": "resized", "evaluate.flip": True}
    assert environment["labels_override"] == expected and environment["protocol"].endswith("*")


def test_a_protocol_that_only_labels_change_is_starred(evaluation, tmp_path):
    write_folder(tmp_path, CLASSES, "cutmix", epochs=1)
    words = ("method=random", "K=null", "ipc=5", "labeling=fkd", f"labeling.path='{tmp_path}'")
    found = evaluation(*words, "labeling.epochs_stored=1")
    assert found.overrides and found.labelled.protocol == "digits_fkd*"


@pytest.mark.parametrize(
    ("words", "typed"),
    [
        (["evaluate.epochs=4"], "holds 3. Type labeling.epochs_stored=3 to repeat them, or "),
        (["evaluate.epochs=null", "evaluate.steps=13"], "or evaluate.epochs=3 evaluate.steps=null"),
        (["labeling.epochs_stored=4"], "Type labeling.epochs_stored=3"),
        (["ipc=6"], "labels 50 images per epoch, 16 in a batch, and the set has 60"),
    ],
)
def test_labels_that_cannot_be_trained_on_are_refused(evaluation, tmp_path, words, typed):
    write_folder(tmp_path, CLASSES, "cutmix")
    with pytest.raises(UsageError) as caught:
        evaluation(*labelled(tmp_path, "cutmix"), *words)
    assert typed in str(caught.value) and "\n" not in str(caught.value)


def _change(file: Path, item: int, value) -> None:
    content = torch.load(file, weights_only=False)
    content[item] = value(content[item])
    torch.save(content, file)


@pytest.mark.parametrize(
    ("item", "value", "told"),
    [
        (0, lambda coords: coords * 8 / 7, "miss the pixels of 8x8 images"),
        (1, lambda flip: flip[:, None].expand(-1, 4), "not [B, 4], [B] and [B, C]"),
        (2, lambda partner: partner + 1, "mixes images with others that are not among its 16"),
        (4, lambda _: [0, 0, 9, 4], "CutMix box [0, 0, 9, 4]"),
        (4, lambda _: None, "mixed in different ways (cutmix and mixup)"),
        (5, lambda logits: logits / 0, "not finite"),
    ],
)
def test_a_damaged_batch_is_named_before_anything_is_trained(evaluation, tmp_path, item, value, told):
    write_folder(tmp_path, CLASSES, "cutmix")
    _change(tmp_path / "epoch_1" / "batch_0.tar", item, value)
    found = evaluation(*labelled(tmp_path, "cutmix"))
    with pytest.raises(UsageError) as caught:
        scores_of(found)
    assert told in str(caught.value) and str(tmp_path) in str(caught.value)


def test_labels_of_other_images_are_said_where_the_folder_names_rows(evaluation, tmp_path, capsys):
    write_folder(tmp_path, CLASSES.roll(5), "none", items=7)
    batches_of(evaluation(*labelled(tmp_path, "none")), 0)
    assert "no better than chance" in capsys.readouterr().out
    shutil.rmtree(tmp_path)
    write_folder(tmp_path, CLASSES, "none", items=7)
    batches_of(evaluation(*labelled(tmp_path, "none")), 0)
    assert "no better than chance" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["labeling=static", "labeling.path=x"], "labeling.path=x is not possible"),
        (["labeling=dynamic", "labeling.source=set"], "type labeling=static or labeling=fkd"),
        (["labeling=fkd", "labeling.path=x", "labeling.source=set"], "leave one of the two out"),
        (["labeling=fkd", "labeling.path=x", "labeling.topk=3"], "labels made elsewhere are used as they are"),
        ([*RANDOM, "labeling=fkd", "labeling.path=/nowhere"], "/nowhere has no epoch_0/batch_0.tar"),
        ([*RANDOM, "labeling=fkd", "labeling.source=set"], "method=random makes one of its own"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(evaluation, words, told):
    with pytest.raises(UsageError, match=told):
        evaluation(*words)


# A run's labels leave with its set, and come back as they went.


def _stored(context: Context, to: Path) -> tuple[Evaluation, Path]:
    """A finished run of ``context`` and its self-contained folder."""
    to.mkdir()
    ran = main_evaluation(replace(context, run_folder=to))
    scores_of(ran)
    return ran, write_distilled_folder(ran.context, ran)


def _exported(folder: Path, form: str) -> Path:
    to = folder.parent / form
    assert run(["export", str(folder), "--format", form, "--to", str(to)]) == 0
    return to


MIXES = {
    "cutmix": ("evaluate.crop=resized", "evaluate.mix=cutmix", "evaluate.flip=true"),
    "mixup": ("evaluate.crop=padded", "evaluate.crop_padding=2", "evaluate.mix=mixup", "evaluate.flip=false"),
}


@pytest.mark.parametrize("mix", MIXES)
def test_exported_and_imported_labels_make_the_same_student(make_context, tmp_path, mix):
    words = (*PROTOCOL, *MIXES[mix], "evaluate.epochs=11", "M=1", "labeling=fkd")
    ran, folder = _stored(make_context("method=random", "K=null", "ipc=5", *words), tmp_path / "run")
    images, labels = _exported(folder, "sre2l"), _exported(folder, "fkd")
    imported = ("method=imported", "K=null", f"method.path='{images}'", f"labeling.path='{labels}'")
    again = main_evaluation(make_context(*imported, *words))
    assert all(isinstance(chunk, ImportedFkdChunk) for chunk in again.labelled.labels.chunks)
    for epoch in (0, 10):
        for ours, theirs in zip(batches_of(ran, epoch), batches_of(again, epoch), strict=True):
            assert torch.equal(ours.images, theirs.images) and torch.equal(ours.index, theirs.index)
    assert torch.equal(logits_of(ran), logits_of(again))
    assert ran.labelled.labels.label_bytes == again.labelled.labels.label_bytes == bytes_on_disk(again)
    assert scores_of(again) == scores_of(ran)


def test_composed_images_come_back_to_half_a_level(make_context, tmp_path):
    words = (*PROTOCOL, *MIXES["cutmix"], "M=1", "labeling=fkd")
    ran, folder = _stored(make_context("K=2", *words), tmp_path / "run")
    imported = ("method=imported", "K=null", f"method.path='{_exported(folder, 'rded')}'")
    again = main_evaluation(make_context(*imported, f"labeling.path='{_exported(folder, 'fkd')}'", *words))
    std = torch.tensor(again.context.data.std).view(3, 1, 1)
    for ours, theirs in zip(batches_of(ran, 0), batches_of(again, 0), strict=True):
        assert ((ours.images - theirs.images) * std * 255).abs().max() <= 0.51


@pytest.mark.parametrize(
    "more", [(), ("labeling.topk=3",), ("evaluate.shuffle_patches=2",), ("labeling.epochs_stored=1",)]
)
def test_a_runs_folder_holds_its_labels(make_context, tmp_path, more):
    words = (*PROTOCOL, *MIXES["cutmix"], "M=1", "labeling=fkd")
    ran, folder = _stored(make_context("K=2", *words, *more), tmp_path / "run")
    opened = infer.load(folder)
    assert opened.logits is None and opened.manifest["labels"]["mode"] == "fkd"
    moved = shutil.move(folder, tmp_path / "elsewhere")
    kept = [word for word in more if "topk" not in word]
    imported = ("method=imported", "K=null", f"method.path='{moved}'", "labeling.source=set", *words, *kept)
    again = main_evaluation(make_context(*imported))
    assert again.storage() == ran.storage()
    assert scores_of(again) == scores_of(ran)


@pytest.mark.parametrize(
    ("word", "told"), [("labeling.topk=3", "pruned logits"), ("evaluate.shuffle_patches=2", "shuffled patches")]
)
def test_what_fkd_files_have_no_place_for_is_not_exported(make_context, tmp_path, capsys, word, told):
    _, folder = _stored(make_context("K=2", *PROTOCOL, "M=1", "labeling=fkd", word), tmp_path / "run")
    assert run(["export", str(folder), "--format", "fkd", "--to", str(tmp_path / "to")]) == 2
    assert f"has {told}, which FKD files have no place for" in capsys.readouterr().err


def test_imported_labels_leave_with_the_set_too(evaluation, tmp_path):
    write_folder(tmp_path / "fkd", CLASSES, "mixup")
    ran, folder = _stored(evaluation(*labelled(tmp_path / "fkd", "mixup")).context, tmp_path / "run")
    imported = ("method=imported", "K=null", f"method.path='{folder}'", "labeling=fkd", "labeling.source=set")
    again = evaluation(*imported, *PROTOCOL, "evaluate.mix=mixup")
    assert scores_of(again) == scores_of(ran) and again.storage() == ran.storage()
    exported = _exported(folder, "fkd")
    for name in ("epoch_0/batch_0.tar", "epoch_2/batch_3.tar"):
        before, after = torch.load(tmp_path / "fkd" / name), torch.load(exported / name)
        assert len(after) == 7  # the order that was replayed is spelled out
        for old, new in zip(before, after[:6], strict=True):
            assert torch.equal(old, new) if isinstance(old, torch.Tensor) else old == new


def test_a_folder_carries_its_own_form(make_context, tmp_path):
    words = ("M=1", "labeling=fkd", "evaluate.repeats=1", "student.archs=[convnet3_w32_batchnorm]", "evaluate.steps=6")
    made_with = ("evaluate.crop_padding=2", "evaluate.shuffle_patches=2", "evaluate.mix=none", "evaluate.batch_size=20")
    ran, folder = _stored(make_context("K=2", *words, *made_with), tmp_path / "run")
    imported = ("method=imported", "K=null", f"method.path='{folder}'", "labeling.source=set", *words)
    again = main_evaluation(make_context(*imported, "evaluate.crop_padding=1"))
    changed = {"batch_size": 20, "mix": "none", "crop_padding": 2, "shuffle_patches": 2}
    assert again.overrides == {f"evaluate.{name}": value for name, value in changed.items()}
    assert scores_of(again) == scores_of(ran) and again.storage() == ran.storage()


def test_a_folder_of_an_older_version_is_refused(make_context, tmp_path):
    words = (*PROTOCOL, *MIXES["cutmix"], "M=1", "labeling=fkd")
    _, folder = _stored(make_context("K=2", *words), tmp_path / "run")
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["labels"]["form"], manifest["sha256"]  # which older versions did not write
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UsageError, match="Make them again"):
        imported = ("method=imported", "K=null", f"method.path='{folder}'", "labeling.source=set")
        main_evaluation(make_context(*imported, *words))
