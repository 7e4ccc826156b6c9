"""The published protocols: what their plans come to, by hand, and what their numbers are called."""

import math

import pytest
from helpers.sampling import one_in

from infer.config.labeling import LabelMode
from infer.config.protocols import protocol_name
from infer.config.training import Crop
from infer.errors import UsageError
from infer.training.plan import Plan

IMAGENET_UNITS = ("sre2l_imagenet", "cda_imagenet", "dwa_imagenet")
RDED = ("rded_cifar10", "rded_cifar100", "rded_cifar100_convnet3", "rded_tiny", "rded_imagenet", "rded_imagenet10")


def student_plan(resolved, protocol: str, ipc: int, images: int, *words: str) -> Plan:
    """Settings of the leading student, ResNet-18 unless words say otherwise."""
    config = resolved(f"evaluate={protocol}", "student=resnet18", f"ipc={ipc}", *words)
    settings = config.evaluate.for_student(config.student.archs[0], config.ipc)
    return Plan(settings, images, mix_alpha=settings.mix_alpha)


# protocol, ipc, images -> epochs, batch size, updates, first and last learning rate
PLANS = [
    ("infer_static", 10, 4500, 400, 64, 400 * 71, 1e-3, 1e-3 * (1 + math.cos(math.pi * 399 / 400)) / 2),
    ("sre2l_cifar", 50, 5000, 400, 128, 400 * 40, 1e-3, 1e-3 * (1 + math.cos(math.pi * 399 / 400)) / 2),
    ("dwa_cifar", 10, 1000, 400, 128, 400 * 8, 1e-3, 1e-3 * (1 + math.cos(math.pi * 399 / 400)) / 2),
    ("sre2l_tiny", 50, 10000, 100, 256, 100 * 40, 2e-3, 0.2 * (1 + math.cos(math.pi * 94 / 95)) / 2),
    ("dwa_tiny", 50, 10000, 200, 64, 200 * 157, 2e-3, 0.2 * (1 + math.cos(math.pi * 194 / 195)) / 2),
    ("sre2l_imagenet", 50, 50000, 300, 1024, 300 * 49, 1e-3, 1e-3 * (1 + math.cos(math.pi * 299 / 300)) / 2),
    ("cda_imagenet", 50, 50000, 300, 128, 300 * 391, 1e-3, 1e-3 * (1 + math.cos(math.pi * 299 / 300)) / 2),
    ("dwa_imagenet", 10, 10000, 300, 128, 300 * 79, 1e-3, 1e-3 * (1 + math.cos(math.pi * 299 / 300)) / 2),
    ("rded_cifar10", 10, 100, 300, 50, 300 * 2, 1e-3, 1e-3 * (1 + math.cos(math.pi * 299 / 600)) / 2),
    ("rded_cifar100", 10, 1000, 300, 100, 300 * 10, 1e-3, 1e-3 * (1 + math.cos(math.pi * 299 / 600)) / 2),
    ("rded_imagenet", 1, 1000, 300, 20, 300 * 50, 1e-3, 1e-3 * (1 + math.cos(math.pi * 299 / 600)) / 2),
]


@pytest.mark.parametrize("protocol, ipc, images, epochs, batch_size, steps, first, last", PLANS)
def test_plans(resolved, protocol, ipc, images, epochs, batch_size, steps, first, last):
    plan = student_plan(resolved, protocol, ipc, images)
    assert (plan.epochs, plan.settings.batch_size, plan.total_steps) == (epochs, batch_size, steps)
    assert plan.lr_at(0) == pytest.approx(first)
    assert plan.lr_at(plan.total_steps - 1) == pytest.approx(last)


@pytest.mark.parametrize(
    "protocol, sizes",
    [
        ("rded_cifar10", {1: 10, 5: 10, 10: 50, 49: 50, 50: 100, 100: 100}),
        ("rded_cifar100", {1: 20, 10: 100, 50: 200}),
        ("rded_tiny", {1: 100, 10: 100, 50: 100}),
        ("rded_imagenet", {1: 20, 10: 100, 50: 200}),
        ("rded_imagenet10", {1: 10, 10: 50, 50: 100}),
    ],
)
def test_batch_sizes_of_rded_follow_the_ipc(resolved, protocol, sizes):
    for ipc, size in sizes.items():
        assert student_plan(resolved, protocol, ipc, 1000).settings.batch_size == size
        assert student_plan(resolved, protocol, ipc, 1000, "evaluate.batch_size=25").settings.batch_size == 25


def test_learning_rates_of_rded_follow_the_student(resolved):
    for arch, lr in {"resnet18": 1e-3, "convnet3": 1e-3, "mobilenetv2": 2.5e-3, "efficientnet_b0": 2e-3}.items():
        plan = student_plan(resolved, "rded_cifar10", 10, 100, f"student.archs=[{arch}]")
        typed = student_plan(resolved, "rded_cifar10", 10, 100, f"student.archs=[{arch}]", "evaluate.lr=2e-3")
        assert (plan.lr_at(0), typed.lr_at(0)) == (lr, 2e-3)


def test_the_convnet_taught_by_a_convnet_has_values_of_its_own_on_cifar100_alone(resolved):
    """argument.py of RDED: 2e-3 in batches of 25 there, the values of a ResNet on every other data set."""
    found = {}
    for protocol in RDED:
        plan = student_plan(resolved, protocol, 10, 1000, "student=convnet3", "teachers.archs=[convnet3_batchnorm]")
        found[protocol] = (plan.lr_at(0), plan.settings.batch_size)
    sizes = {"rded_cifar10": 50, "rded_cifar100": 100, "rded_tiny": 100, "rded_imagenet": 100, "rded_imagenet10": 50}
    assert found == {"rded_cifar100_convnet3": (2e-3, 25), **{name: (1e-3, size) for name, size in sizes.items()}}
    config = resolved("experiment=rded_cifar100_convnet3")
    assert config.ensemble == config.student.archs == ["convnet3_batchnorm"]
    assert protocol_name(config, config.labeling.mode) == "rded_cifar100_convnet3@best"


@pytest.mark.parametrize(
    "words, archs",
    [
        *((f"evaluate={protocol} student=convnet3", ["convnet3_batchnorm"]) for protocol in RDED),
        ("dataset=cifar100 student=convnet3", ["convnet3_batchnorm"]),
        ("dataset=imagenet10 student=convnet3 labeling=dynamic", ["convnet3_batchnorm"]),
        ("evaluate=rded_cifar10 student.archs=[convnet3]", ["convnet3"]),
        ("evaluate=rded_cifar10 student=convnet3 evaluate.convnet3=convnet3_layernorm", ["convnet3_layernorm"]),
        ("evaluate=sre2l_cifar student=convnet3", ["convnet3"]),
        ("dataset=folder dataset.root=x", ["convnet3"]),
    ],
)
def test_the_convnet_of_rded_and_infer_has_batch_norm(resolved, words, archs):
    assert resolved(*words.split()).student.archs == archs


def test_where_published_numbers_differ(resolved):
    """Choices of each protocol at the points where the field's codes go apart."""

    def facts(protocol: str) -> tuple:
        e = resolved(f"evaluate={protocol}").evaluate
        crop = f"{e.crop.value} {e.crop_padding if e.crop is Crop.padded else e.crop_scale_min:g}"
        mixing = "none" if e.mix.value == "none" else f"{e.mix.value} {e.mix_alpha:g}"
        return (
            e.optimizer.value, e.weight_decay, e.decay_norm_and_bias, e.temperature, e.loss_times_t2,
            mixing, crop, e.shuffle_patches, e.teacher_bn.value, e.normalise.value, e.reported.value,
        )  # fmt: skip

    cifar = ("adamw", 0.01, True, 30, False, "mixup 0.8", "padded 4", 1)
    rded = ("adamw", 0.01, False, 20, False, "cutmix 1")
    assert facts("infer_static") == facts("infer_dynamic") == (*cifar, "eval", "dataset", "last")
    assert facts("sre2l_cifar") == (*cifar, "batch", "cifar10", "last")
    assert facts("dwa_cifar") == (*cifar, "batch", "dataset", "last")
    tiny = ("resized 0.08", 1, "eval", "dataset", "last")
    assert facts("sre2l_tiny") == ("sgd", 1e-4, True, 20, True, "none", *tiny)
    assert facts("dwa_tiny") == ("sgd", 1e-4, True, 20, True, "cutmix 1", *tiny)
    for protocol in IMAGENET_UNITS:
        assert facts(protocol) == (*rded, "resized 0.08", 1, "eval", "imagenet", "last")
    for protocol in RDED:
        crop = ("resized 0.5", 2) if protocol.startswith("rded_imagenet") else ("padded 0", 1)
        assert facts(protocol) == (*rded, *crop, "eval", "imagenet", "best")


@pytest.mark.parametrize(
    "words, name",
    [
        ("evaluate=sre2l_cifar labeling=dynamic", "sre2l_cifar"),
        ("evaluate=sre2l_cifar labeling=static", "sre2l_cifar+static"),
        ("evaluate=sre2l_imagenet labeling=fkd", "sre2l_imagenet"),
        ("evaluate=sre2l_imagenet labeling=dynamic", "sre2l_imagenet+dynamic"),
        ("evaluate=rded_tiny labeling=dynamic", "rded_tiny@best"),
        ("evaluate=rded_tiny labeling=hard evaluate.reported=last", "rded_tiny+hard"),
        ("evaluate=infer_static labeling=fkd", "infer_static+fkd"),
        ("evaluate=digits_static labeling=dynamic", "digits_static+dynamic"),
        ("labeling=dynamic", "digits_dynamic"),
        ("dataset=cifar10 labeling=fkd", "infer_fkd"),
    ],
)
def test_names(resolved, words, name):
    config = resolved(*words.split())
    assert config.protocol_name_with(config.labeling.mode) == name


def test_the_name_is_never_read(resolved):
    """The labels that a protocol is made for are a setting of its own."""
    config = resolved("evaluate.protocol=mine", "evaluate.published_with=dynamic")
    assert [config.protocol_name_with(mode) for mode in LabelMode] == ["mine+hard", "mine+static", "mine", "mine+fkd"]
    assert resolved("evaluate.protocol=mine_static", "evaluate.published_with=null").protocol_name_with(
        LabelMode.static
    ) == ("mine_static+static")


@pytest.mark.parametrize("protocol", ["sre2l_cifar", "sre2l_imagenet", "rded_cifar10", "rded_imagenet"])
@pytest.mark.parametrize("method", one_in(2, ["infer", "random"]))
def test_any_method_and_labels_under_any_protocol(resolved, protocol, method):
    for mode in LabelMode:
        config = resolved(f"evaluate={protocol}", f"method={method}", f"labeling={mode.value}")
        assert config.protocol_name_with(mode).startswith(protocol)


@pytest.mark.parametrize(
    "words, says",
    [
        ("evaluate.batch_size=null", "evaluate.batch_size=null"),
        ("evaluate.lr=null", "evaluate.lr=null"),
        ("evaluate=rded_cifar10 evaluate.batch_size_by_ipc={1:0}", "evaluate.batch_size_by_ipc={1: 0}"),
        ("evaluate=rded_cifar10 evaluate.accumulate=3", "evaluate.batch_size_by_ipc={1: 10}"),
        ("evaluate=rded_cifar10 evaluate.lr_by_student={default:0}", "evaluate.lr_by_student.default=0"),
        ("labeling=fkd labeling.topk=0", "labeling.topk=0"),
        ("labeling=fkd labeling.epochs_stored=0", "labeling.epochs_stored=0"),
    ],
)
def test_refused(resolved, words, says):
    with pytest.raises(UsageError) as refusal:
        resolved(*words.split())
    assert says in str(refusal.value) and "\n" not in str(refusal.value)
