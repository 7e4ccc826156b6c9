"""A setting changes the signatures of exactly those artefacts whose content depends on it: all settings, one by one."""

import dataclasses
import functools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from helpers.sampling import one_in
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from PIL import Image
from planning import PARTS, Signatures, planned

from infer.config import Config, registry, resolve
from infer.data import load
from infer.distilled.folder import write_images, write_labels
from infer.formats.fkd import LabelledBatch, write_batches
from infer.methods.infer import InferMethod
from infer.methods.registry import method_classes, register_all

CONF = Path(__file__).resolve().parents[2] / "conf"
SMALL = "teachers.archs=[convnet3_w32_batchnorm,resnet8_w8] ipc=3 baselines=[] device=cpu"
SMALL_INFER = f"{SMALL} method.group=2"

NOTHING: frozenset[str] = frozenset()
ALL = frozenset(PARTS)
STUDENTS = frozenset({"evals"})
LABELLED = STUDENTS | {"labels"}
STORED = LABELLED | {"distilled", "logits/composed"}
GENERATED = STORED | {"compensators"}
EXAMINED = ("features", "crops")
"""Artefacts of methods that choose among real images, beside PARTS."""
CHOSEN = LABELLED | {"distilled", "logits/natural"}
SYNTHESISED = CHOSEN | {"syntheses"}


class Change(NamedTuple):
    """Another value of a setting, and what it does to the artefacts of a run."""

    value: str
    renews: frozenset[str] = NOTHING
    """Parts of which no artefact can be used again."""
    resizes: frozenset[str] = NOTHING
    """Parts of which more or fewer artefacts are needed, the same ones otherwise."""
    given: str = ""
    """Words typed on both sides."""
    along: str = ""
    """Words that the other value needs beside it."""


FOLDER = "dataset=folder dataset.root={tree} teachers.crop_padding=1"
WNIDS = (
    "dataset=imagenet1k dataset.root={wnids} dataset.wnids=[n01440764,n02102040,n03888257] dataset.image_size=9 "
    "dataset.resize=9 teachers.checkpoints=null student.archs=[resnet8_w8]"
)
AS_LABELLED = "evaluate.batch_size=60 evaluate.mix=none labeling.epochs_stored=1"
UNITS = frozenset({"teachers", "compensators", "logits/natural", "logits/composed"})
BY_K = UNITS - {"teachers"}

CHANGES = {
    "M": [
        Change("1", STORED - UNITS, UNITS),
        Change("1", LABELLED, frozenset({"teachers", "logits/natural"}), given="method=sre2l"),
    ],
    "K": [Change("3", STORED - UNITS, BY_K)],
    "ipc": [
        Change("4", STORED - UNITS, BY_K),
        Change("4", given="K=2"),
        *(Change("4", CHOSEN, given=f"method={m}") for m in ("herding", "kcenter", "rded")),
        Change("4", LABELLED | {"distilled"}, given="method=sre2l method.group=2"),  # index 3 was made with index 2
        Change("4", LABELLED | {"distilled"}, SYNTHESISED - LABELLED - {"distilled"}, given="method=dwa"),
    ],
    "seed": [Change("1", ALL), Change("1", CHOSEN | {"teachers", "crops"}, given="method=rded")],
    "stages": [Change("[evaluate]")],
    "force": [Change("[squeeze]")],
    "baselines": [
        Change("[random_hard]", resizes=frozenset({"distilled", "evals"})),
        Change("[full]", resizes=STUDENTS),
    ],
    "baseline_budgets": [
        Change("[ipc]"),
        Change(
            "[bytes,images]",
            resizes=STUDENTS | {"labels", "distilled", "logits/natural"},
            given="baselines=[random_static]",
        ),
    ],
    "analyses": [Change("[dominance]")],
    "device": [Change("auto", given="precision=fp32")],
    "precision": [Change("bf16", ALL), Change("fp32")],
    "processes": [Change("2")],
    "worker": [Change("1")],
    "checkpoint_minutes": [Change("0.5")],
    "outputs": [Change("elsewhere")],
    "dataset_roots": [],  # a place, as outputs is: tests/faults/test_answers.py
    "dataset.name": [Change("numbers")],
    "dataset.root": [Change("{copy}", given=FOLDER)],
    "dataset.resize": [Change("6", ALL, given=FOLDER), Change("10", ALL, given=WNIDS)],
    "dataset.mean": [Change("[.1,.1,.1]", ALL, given=FOLDER + " dataset.std=[.2,.2,.2] dataset.mean=[.2,.2,.2]")],
    "dataset.std": [Change("[.1,.1,.1]", ALL, given=FOLDER + " dataset.std=[.2,.2,.2] dataset.mean=[.2,.2,.2]")],
    "dataset.download": [Change("true", given="dataset=cifar10")],
    "dataset.in_memory": [Change("false", given=FOLDER), Change("false", given=WNIDS)],
    "dataset.train": [Change("val", ALL, given=WNIDS)],
    "dataset.test": [Change("train", ALL, given=WNIDS)],
    "dataset.wnids": [Change("[n01440764,n02102040]", ALL, given=WNIDS)],
    "dataset.image_size": [Change("8", ALL, given=WNIDS)],
    "teachers.epochs": [Change("2", ALL)],
    "teachers.steps": [Change("9", ALL, along="teachers.epochs=null")],
    "teachers.batch_size": [Change("32", ALL)],
    "teachers.even_batches": [Change("true", ALL)],
    "teachers.optimizer": [Change("adamw", ALL)],
    "teachers.lr": [Change("0.2", ALL), Change("1e-1")],
    "teachers.weight_decay": [Change("0", ALL)],
    "teachers.momentum": [Change("0", ALL), Change("0", given="teachers.optimizer=adamw")],
    "teachers.nesterov": [Change("true", ALL), Change("true", given="teachers.optimizer=adamw")],
    "teachers.published": [Change("true")],  # digits are too small for another precision than fp32 on a CPU
    "teachers.schedule_unit": [Change("step", ALL)],
    "teachers.warmup": [Change("0.1", ALL)],
    "teachers.label_smoothing": [Change("0.1", ALL)],
    "teachers.ema_decay": [Change("0.9", ALL)],
    "teachers.crop_padding": [Change("2", ALL)],
    "teachers.flip": [Change("true", ALL)],
    "teachers.accumulate": [Change("2", ALL)],
    "teachers.batch_norm": [Change("per_rank")],  # of one process, that is: tests/ranks/test_training.py
    "teachers.decay_norm_and_bias": [Change("false", ALL), Change("false", given="teachers.weight_decay=0")],
    "teachers.schedule": [Change("half_cosine", ALL)],
    "teachers.warmup_start": [Change("0.01"), Change("0.01", ALL, given="teachers.warmup=0.1")],
    "teachers.shuffle_patches": [Change("2", ALL)],
    "teachers.crop": [Change("resized", ALL)],
    "teachers.crop_scale_min": [Change("0.5"), Change("0.5", ALL, given="teachers.crop=resized")],
    "teachers.crop_ratio_max": [Change("1"), Change("1", ALL, given="teachers.crop=resized")],
    "teachers.test_from": [Change("0.5")],
    "teachers.test_every": [Change("1")],  # how often it is tested on the way; the weights and the last score stay
    "teachers.start_size": [
        Change("4", ALL),
        Change("8"),  # their own size
        Change("4", given="teachers.epochs=1"),  # the last epoch shows whole images
        Change("4", given="teachers.epochs=null teachers.steps=9"),
    ],
    "teachers.grow_from": [Change("0.1"), Change("0.1", ALL, given="teachers.start_size=4")],
    "teachers.full_size_from": [Change("0.9"), Change("0.9", ALL, given="teachers.start_size=4")],
    "teachers.archs": [
        Change("[convnet3_w32_batchnorm,resnet8_w8,resnet14_w8]", STORED - UNITS, UNITS),
        Change("[convnet3_w32_batchnorm,resnet8_w8,resnet14_w8]", given="M=2"),
    ],
    "teachers.checkpoints": [Change("{{convnet3_w32_batchnorm:{weights}}}", ALL, given="M=1")],
    "teachers.normalise": [
        Change("imagenet", ALL),
        Change("cifar10", ALL, given="M=1 teachers.checkpoints={{convnet3_w32_batchnorm:{weights}}}"),
        Change("imagenet", SYNTHESISED | {"teachers"}, given="method=sre2l"),
        Change("imagenet", CHOSEN | {"teachers", "features"}, given="method=herding"),
        Change("imagenet", CHOSEN | {"teachers", "crops"}, given="method=rded"),
        Change("imagenet", STUDENTS | {"teachers"}, given="labeling=dynamic method=random"),
    ],
    "teachers.min_top1": [Change("null")],
    "method.path": [
        Change("{tree}/test", CHOSEN, given=f"{FOLDER} method=imported method.path={{tree}}/train"),
        Change("{copy}/train", given=f"{FOLDER} method=imported method.path={{tree}}/train"),
    ],
    "method.format": [Change("imagefolder", given=f"{FOLDER} method=imported method.path={{tree}}/train")],
    "method.name": [Change("ours")],
    "method.iterations": [
        Change("9", GENERATED),
        *(Change("9", SYNTHESISED, given=f"method={m}") for m in ("sre2l", "cda", "dwa")),
    ],
    "method.lr": [Change("0.5", GENERATED)],
    "method.bn_weight": [Change("0.5", GENERATED)],
    "method.first_bn_multiplier": [Change("1", GENERATED)],
    "method.jitter_px": [Change("2", GENERATED)],
    "method.crop_scale_min": [Change("0.5", GENERATED), Change("0.5", SYNTHESISED, given="method=cda")],
    "method.crop_milestone": [Change("0.5", SYNTHESISED, given="method=cda")],
    "method.two_sided_jitter": [Change("true", SYNTHESISED, given="method=sre2l")],
    "method.batch_size": [Change("5", SYNTHESISED, given="method=sre2l"), Change("10", given="method=sre2l")],
    "method.variance_weight": [Change("1", SYNTHESISED, given="method=dwa")],
    "method.perturbation_steps": [Change("1", SYNTHESISED, given="method=dwa")],
    "method.perturbation_radius": [Change("0.1", SYNTHESISED, given="method=dwa")],
    "method.accumulate_ascent_gradient": [
        Change("true", SYNTHESISED, given="method=dwa"),
        Change("true", given="method=dwa method.perturbation_steps=0"),
    ],
    "method.compensator_dtype": [Change("float16", STORED)],
    "method.compensator_scale": [Change("2", GENERATED)],
    "method.composed_codec": [Change("jpeg", STORED | {"logits/natural"})],
    "method.ablation": [
        *(Change(each, STORED) for each in ("noise", "shuffled", "low_passed", "halved", "doubled")),
        Change("per_class", GENERATED),
    ],
    "method.group": [
        Change("1", GENERATED | {"logits/natural"}),
        Change("1", SYNTHESISED, given="method=sre2l"),
    ],
    "method.class_chunk": [Change("3", GENERATED), Change("10"), Change("4", GENERATED, given="method.class_chunk=3")],
    "method.chunk_statistics": [Change("each"), Change("each", GENERATED, given="method.class_chunk=3")],
    "method.precision": [Change("fp64", GENERATED)],
    "method.factor": [Change("2", CHOSEN | {"crops"}, given="method=rded")],
    "method.crops": [Change("3", CHOSEN | {"crops"}, given="method=rded")],
    "method.images_per_class": [Change("50", CHOSEN | {"crops"}, given="method=rded")],
    "method.scale_min": [Change("0.3", CHOSEN | {"crops"}, given="method=rded")],
    "method.compile": [Change("true")],  # like the device: another rounding of the same computation, and recorded
    "labeling.mode": [
        Change("hard", STUDENTS, frozenset({"labels", "logits/natural", "logits/composed"})),
        Change("dynamic", STUDENTS, frozenset({"labels", "logits/natural", "logits/composed"})),
        Change("fkd", LABELLED, frozenset({"logits/natural", "logits/composed"})),
    ],
    "labeling.teachers": [
        Change("[resnet8_w8]", LABELLED, frozenset({"logits/natural", "logits/composed"})),
        Change("[resnet8_w8]", LABELLED, given="labeling=fkd"),
    ],
    "labeling.source": [
        Change("set", LABELLED, frozenset({"teachers", "logits/natural"}), given="method=imported method.path={own}"),
    ],
    "labeling.path": [
        Change("{fkd}", LABELLED, given=f"labeling=fkd {AS_LABELLED}"),
        Change("{fkd_copy}", given=f"labeling=fkd labeling.path={{fkd}} {AS_LABELLED}"),
    ],
    "labeling.epochs_stored": [Change("20"), Change("20", STUDENTS, frozenset({"labels"}), given="labeling=fkd")],
    "labeling.topk": [Change("3"), Change("3", LABELLED, given="labeling=fkd")],
    "student.archs": [Change("[resnet8]", STUDENTS), Change("[convnet3_w32_batchnorm,resnet8]", resizes=STUDENTS)],
    "evaluate.epochs": [Change("2", STUDENTS, along="evaluate.steps=null")],
    "evaluate.steps": [Change("9", STUDENTS)],
    "evaluate.batch_size": [Change("32", STUDENTS), Change("32", LABELLED, given="labeling=fkd")],
    "evaluate.even_batches": [Change("false", STUDENTS), Change("false", LABELLED, given="labeling=fkd")],
    "evaluate.batch_size_by_ipc": [
        Change("{{1:5}}", STUDENTS, given="evaluate=rded_cifar10"),
        Change("{{1:5}}", given="evaluate=rded_cifar10 evaluate.batch_size=9"),
    ],
    "evaluate.optimizer": [Change("sgd", STUDENTS)],
    "evaluate.lr": [
        Change("1e-3", STUDENTS),
        Change("0.002"),
        Change("1e-3", STUDENTS, given="labeling=fkd"),
    ],
    "evaluate.lr_by_student": [
        Change("{{default:0.5}}", STUDENTS, given="evaluate=rded_cifar10"),
        Change("{{default:0.5}}", given="evaluate=rded_cifar10 evaluate.lr=1e-3"),
    ],
    "evaluate.convnet3": [
        Change("convnet3_batchnorm"),
        Change("convnet3_batchnorm", STUDENTS, given="student=convnet3"),
    ],
    "evaluate.precision": [Change("bf16", STUDENTS), Change("bf16", given="precision=fp32")],
    "evaluate.weight_decay": [Change("0", STUDENTS)],
    "evaluate.momentum": [Change("0"), Change("0", STUDENTS, given="evaluate.optimizer=sgd")],
    "evaluate.nesterov": [Change("true"), Change("true", STUDENTS, given="evaluate.optimizer=sgd")],
    "evaluate.schedule_unit": [
        Change("epoch"),
        Change("epoch", STUDENTS, given="evaluate.steps=null evaluate.epochs=2"),
    ],
    "evaluate.warmup": [Change("0.1", STUDENTS)],
    "evaluate.label_smoothing": [Change("0.1"), Change("0.1", STUDENTS, given="labeling=hard")],
    "evaluate.ema_decay": [Change("0.9", STUDENTS)],
    "evaluate.crop_padding": [Change("2", STUDENTS), Change("2", given="evaluate.crop=resized")],
    "evaluate.flip": [Change("true", STUDENTS), Change("true", LABELLED, given="labeling=fkd")],
    "evaluate.batch_norm": [Change("per_rank")],
    "evaluate.accumulate": [
        Change("2", STUDENTS),
        Change("2", STUDENTS, given="labeling=fkd"),
        Change("2", LABELLED, given="labeling=fkd evaluate.teacher_bn=batch"),
    ],
    "evaluate.decay_norm_and_bias": [Change("false", STUDENTS), Change("false", given="evaluate.weight_decay=0")],
    "evaluate.schedule": [Change("half_cosine", STUDENTS)],
    "evaluate.warmup_start": [Change("0.01"), Change("0.01", STUDENTS, given="evaluate.warmup=0.1")],
    "evaluate.shuffle_patches": [Change("2", STUDENTS), Change("2", LABELLED, given="labeling=fkd")],
    "evaluate.crop": [Change("resized", STUDENTS), Change("resized", LABELLED, given="labeling=fkd")],
    "evaluate.crop_scale_min": [Change("0.5"), Change("0.5", STUDENTS, given="evaluate.crop=resized")],
    "evaluate.crop_ratio_max": [Change("1"), Change("1", STUDENTS, given="evaluate.crop=resized")],
    "evaluate.test_from": [Change("0.5", STUDENTS)],
    "evaluate.test_every": [Change("9", STUDENTS)],  # the best epoch, one of the scores, is chosen among the tests
    "evaluate.protocol": [Change("mine_static")],
    "evaluate.divide_epochs_by_blocks": [Change("true", STUDENTS, given="evaluate.steps=null evaluate.epochs=9")],
    "evaluate.published_with": [Change("static")],
    "evaluate.temperature": [Change("9", STUDENTS), Change("9", given="labeling=hard")],
    "evaluate.loss_times_t2": [Change("true", STUDENTS), Change("true", given="labeling=hard")],
    "evaluate.teacher_bn": [
        Change("batch"),
        Change("batch", STUDENTS, given="labeling=dynamic"),
        Change("batch", LABELLED, given="labeling=fkd"),
    ],
    "evaluate.normalise": [Change("imagenet", STUDENTS), Change("cifar10", STUDENTS, given="labeling=fkd")],
    "evaluate.test_crop": [
        Change("enlarged_centre"),  # 8 // 7 * 8 is 8
        Change("enlarged_centre", STUDENTS, given=f"{FOLDER} dataset.resize=14"),
    ],
    "evaluate.reported": [Change("best")],  # both are recorded
    "evaluate.mix": [
        Change("none", STUDENTS),
        Change("cutmix", STUDENTS),
        Change("cutmix", LABELLED, given="labeling=fkd"),
    ],
    "evaluate.mix_alpha": [Change("1", STUDENTS), Change("1", given="evaluate.mix=none")],
    "evaluate.repeats": [Change("2", resizes=STUDENTS)],
    "evaluate.split": [Change("val", ALL)],
    "evaluate.val_fraction": [Change("0.2"), Change("0.2", ALL, given="evaluate.split=val")],
    "scale.classes": [Change("12", ALL)],  # data of other sizes
    "scale.image_size": [Change("9", ALL)],
    "scale.train_per_class": [Change("20", ALL)],
    "scale.test_per_class": [Change("20", ALL)],
    "scale.most_minutes": [Change("5")],
    "sweep.zip": [Change("[[M,K]]")],
    "sweep.points": [Change("['M=1']")],
    "sweep.exclude": [Change("['M>2']")],
    "sweep.trials": [Change("9")],
    "sweep.prune": [Change("false", given="sweep.trials=9")],
    "sweep.resume": [Change("elsewhere", given="sweep.trials=9")],
    "sweep.retry": [Change("1")],
    "sweep.equal_steps": [Change("true")],  # fills in the next one
    "sweep.student_steps": [Change("9", STUDENTS)],
    "sweep.stop_on_failure": [Change("1")],
}
WITHOUT_EFFECT = ("cluster", "tracker")
"""Groups that no artefact knows of: where jobs run, and who is told."""


def _settings() -> Iterator[str]:
    """Every leaf setting of every choice of every group."""
    for field in dataclasses.fields(Config):
        schemas = list((registry._SCHEMAS | {"method": method_classes()}).get(field.name, {}).values())
        if dataclasses.is_dataclass(field.default_factory):
            schemas.append(field.default_factory)
        if not schemas:
            yield field.name
        for schema in schemas:
            yield from (f"{field.name}.{leaf.name}" for leaf in dataclasses.fields(schema))


SETTINGS = [s for s in dict.fromkeys(_settings()) if not s.startswith(WITHOUT_EFFECT)]
CASES = [
    pytest.param(setting, change, id=f"{setting}={change.value}") for setting in CHANGES for change in CHANGES[setting]
]


@pytest.fixture(scope="module")
def trees(tmp_path_factory) -> dict[str, Path]:
    """A small folder of images, another with the same content, one of classes of ImageNet, a file that stands for a
    teacher's weights, a set with soft labels, and FKD labels of 60 images in two places."""
    tree, copy = (tmp_path_factory.mktemp(name) / name for name in ("tree", "copy"))
    drawn = np.random.default_rng(0)
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            (tree / split / name).mkdir(parents=True)
            for number in range(9):
                pixels = drawn.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tree / split / name / f"{number}.png")
    shutil.copytree(tree, copy)
    wnids = tree.parent / "wnids"
    for split in ("train", "val"):
        for wnid, name in (("n01440764", "cat"), ("n02102040", "dog"), ("n03888257", "cat")):
            shutil.copytree(tree / "train" / name, wnids / split / wnid)
    weights = tree.parent / "ckpt.pth"
    weights.write_bytes(b"planned, not read")
    own, fkd, fkd_copy = (tree.parent / name for name in ("own", "fkd", "fkd_copy"))
    own.mkdir()
    dataset = {"classes": [str(digit) for digit in range(10)], "mean": [0.5] * 3, "std": [0.5] * 3}
    write_labels(own, torch.eye(10))
    write_images(own, torch.zeros(10, 3, 8, 8, dtype=torch.uint8), torch.arange(10), {"dataset": dataset})
    whole = torch.tensor([[0.0, 0.0, 1.0, 1.0]] * 60)
    batch = LabelledBatch(whole, torch.zeros(60) > 0, None, None, None, torch.ones(60, 10), torch.arange(60))
    write_batches(fkd, [[batch]])
    shutil.copytree(fkd, fkd_copy)
    return {
        "tree": tree,
        "copy": copy,
        "wnids": wnids,
        "weights": weights,
        "own": own,
        "fkd": fkd,
        "fkd_copy": fkd_copy,
    }


@pytest.fixture(scope="module")
def plan(resolved, trees, tmp_path_factory) -> Callable[[str], Signatures]:
    """The signatures that a command line adds up to."""
    outputs = tmp_path_factory.mktemp("outputs")

    @functools.cache
    def plan(words: str) -> Signatures:
        small = SMALL if "method=" in words else SMALL_INFER
        typed = [f"outputs={outputs}", *f"{small} {words}".format(**trees).split()]
        return planned(resolved(*typed), typed)

    return plan


def test_every_setting_is_in_the_table():
    missing = set(SETTINGS) - CHANGES.keys()
    assert not missing, f"Put {', '.join(sorted(missing))} into CHANGES, with what depends on it"
    assert CHANGES.keys() == set(SETTINGS)


@pytest.mark.parametrize(("setting", "change"), one_in(6, CASES))
def test_a_setting_changes_what_depends_on_it(plan, monkeypatch, setting, change):
    if "cifar" in change.given:  # its files are not at hand; its settings only choose among files
        digits = load(registry.DigitsConfig(), cache_dir=Path("unused"), threads=1)
        monkeypatch.setattr("infer.pipeline.prepare._loaded_once", lambda *_: digits)
    before = plan(change.given)
    after = plan(f"{change.given} {setting}={change.value} {change.along}")
    renewed, resized = set(), set()
    for part in (*PARTS, *EXAMINED, "syntheses"):
        old, new = set(before.get(part, ())), set(after.get(part, ()))
        if old and new and old.isdisjoint(new):
            renewed.add(part)
        elif old != new:
            assert old < new or new < old, f"{setting} changes some of {part}"
            resized.add(part)
    assert (renewed, resized) == (change.renews, change.resizes)


@pytest.mark.parametrize(
    "words",
    ["cluster=slurm", "cluster=joblib", "tracker=wandb", "tracker=tensorboard", "cluster=slurm cluster.gpus=2"],
)
def test_who_works_and_who_is_told_does_not_matter(plan, monkeypatch, words):
    monkeypatch.setattr("infer.pipeline.prepare.enter_job", lambda _: None)  # it would set this process's threads
    assert plan(words) == plan("")


def test_a_changed_default_is_as_good_as_a_typed_word(plan, resolved, tmp_path, monkeypatch):
    """A preset's number and a dataclass's default: other numbers than the shipped ones, the same as when typed."""
    conf = shutil.copytree(CONF, tmp_path / "conf")
    preset = conf / "evaluate" / "digits.yaml"
    preset.write_text(preset.read_text().replace("lr: 2e-3", "lr: 1e-3"))
    monkeypatch.setattr(InferMethod.__dataclass_fields__["bn_weight"], "default", 0.5)
    register_all()
    with initialize_config_dir(config_dir=str(conf), version_base="1.3"):
        edited = resolve(hydra_compose("config", overrides=SMALL_INFER.split()))
    monkeypatch.undo()
    register_all()
    found = planned(edited, SMALL_INFER.split())
    assert found == plan("evaluate.lr=1e-3 method.bn_weight=0.5")
    assert {part for part in PARTS if found[part] != plan("")[part]} == GENERATED
