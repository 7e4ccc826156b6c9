"""Every preset composes, passes its checks and says what a data set brings along."""

from pathlib import Path

import pytest

from infer.config.dataset import FolderConfig
from infer.config.presets import variants
from infer.help import text
from infer.methods.infer import InferMethod
from infer.methods.random import RandomMethod
from infer.training.plan import Plan

CONF = Path(__file__).resolve().parents[2] / "conf"
_ROOT = ["dataset.root=somewhere"]
_NEEDS = {"folder": _ROOT, "cifar10_images": _ROOT, "imported": ["method.path=somewhere"]}


def _options(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def _pairings() -> list[tuple[str, str, str]]:
    """Every data set with every method, the labelings in turns, so that these meet all data sets and methods too."""
    labelings = _options("labeling")
    return [
        (dataset, labelings[(i + j) % len(labelings)], method)
        for i, dataset in enumerate(_options("dataset"))
        for j, method in enumerate(_options("method"))
    ]


@pytest.mark.parametrize("dataset, labeling, method", _pairings())
def test_every_pairing_resolves(resolved, dataset, labeling, method):
    needed = [word for option in (dataset, method) for word in _NEEDS.get(option, [])]
    config = resolved(f"dataset={dataset}", f"labeling={labeling}", f"method={method}", *needed)
    assert config.labeling.mode.value == labeling
    assert (
        config.protocol_name_with(config.labeling.mode) == f"{config.evaluate.protocol.rpartition('_')[0]}_{labeling}"
    )


@pytest.mark.parametrize("group", ["teachers", "student", "evaluate", "tracker", "experiment"])
def test_every_option_of_a_group_resolves(resolved, group):
    for option in _options(group):
        needs_root = "dataset.root=" in (CONF / group / f"{option}.yaml").read_text()
        config = resolved(f"{group}={option}", *(_ROOT if needs_root else []))
        if group == "evaluate":
            assert config.evaluate.published_with is not None, f"{option} says for which labels it is made"


def test_the_fast_teachers_are_those_of_the_paper_in_one_cycle(resolved):
    fast, published = (resolved("dataset=cifar10", *words).teachers for words in (["teachers=cifar_fast"], []))
    assert fast.archs == published.archs
    assert published.published and not fast.published
    assert fast.epochs <= 12 and fast.label_smoothing == 0 and fast.nesterov
    plan = Plan(fast, 50_000)
    rates = [plan.lr_at(step) for step in range(plan.total_steps)]
    top = rates.index(fast.lr)
    assert rates[: top + 1] == sorted(rates[: top + 1]) and rates[top:] == sorted(rates[top:], reverse=True)
    assert plan.num_tests == 1 and rates[-1] < 1e-4 * fast.lr


def test_every_variant_resolves_and_is_offered(resolved):
    offered = text(CONF, [])
    for name in variants():
        resolved(f"variant={name}")
        assert name in next(line for line in offered.splitlines() if line.startswith("variant: "))


def test_every_preset_opens_with_what_it_is():
    for path in CONF.rglob("*.yaml"):
        lines = path.read_text().splitlines()
        assert lines[0].startswith("# "), path


def test_cifar100_alone_selects_the_papers_setting(resolved):
    config = resolved("dataset=cifar100")
    assert config.ensemble == ["resnet18", "mobilenetv2", "efficientnet_b0", "shufflenet_g2"]
    assert config.student.archs == ["resnet18"]
    assert isinstance(config.method, InferMethod)
    method = config.method
    assert (method.iterations, method.lr, method.bn_weight, method.first_bn_multiplier) == (1000, 0.25, 1.0, 10.0)
    assert method.jitter_px == 4
    protocol = config.evaluate
    assert config.protocol_name_with(config.labeling.mode) == "infer_static"
    assert (protocol.epochs, protocol.steps, protocol.batch_size, protocol.lr) == (400, None, 64, 1e-3)
    assert (protocol.temperature, protocol.mix_alpha, protocol.weight_decay) == (30, 0.8, 0.01)
    assert protocol.optimizer == "adamw" and protocol.schedule_unit == "epoch"


def test_the_command_line_wins_over_what_a_data_set_brings(resolved):
    config = resolved("dataset=cifar100", "teachers=light", "method.iterations=3", "evaluate=cpu_static")
    assert config.teachers.archs[0] == "convnet3_w64_batchnorm"
    assert config.method.iterations == 3
    assert config.protocol_name_with(config.labeling.mode) == "cpu_static"


def test_dynamic_labels_bring_the_dynamic_protocol(resolved):
    config = resolved("dataset=cifar10", "labeling=dynamic")
    assert config.protocol_name_with(config.labeling.mode) == "infer_dynamic"
    assert config.evaluate.divide_epochs_by_blocks


def test_a_protocol_of_another_mode_is_named_with_the_mode(resolved):
    config = resolved("evaluate=infer_static", "labeling=dynamic")
    assert config.protocol_name_with(config.labeling.mode) == "infer_static+dynamic"


def test_m_takes_the_first_of_the_ensemble(resolved):
    assert resolved("dataset=cifar10", "M=2").ensemble == ["resnet18", "mobilenetv2"]


def test_labeling_teachers_default_to_the_methods(resolved):
    assert resolved("M=1").teachers_that_label == resolved("M=1").ensemble
    assert resolved("labeling.teachers=[resnet20]").teachers_that_label == ["resnet20"]


def test_a_method_has_only_its_own_settings(compose):
    assert "iterations" not in compose("method=random").method
    assert isinstance(compose("method=random").method._metadata.object_type, type)
    assert compose("method=random").method._metadata.object_type is RandomMethod


def test_the_data_root_follows_the_environment(resolved, monkeypatch):
    monkeypatch.setenv("INFER_DATA", "elsewhere")
    assert resolved("dataset=cifar10").dataset.root == "elsewhere/cifar10"
    assert isinstance(resolved("dataset=folder", "dataset.root=x").dataset, FolderConfig)
