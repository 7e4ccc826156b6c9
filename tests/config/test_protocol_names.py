"""The star behind a protocol's name: there exactly where a setting is not that of the preset of this name."""

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir

from infer.config.labeling import LabelMode
from infer.config.presets import conf_folder
from infer.config.protocols import changed_settings, protocol_name, protocol_settings
from infer.files import digest_of
from infer.methods.registry import register_all
from infer.pipeline.settings import settings_of

LOCAL = """\
# @package _global_
evaluate:
  lr: 5e-4
"""
OWN_PROTOCOL = """\
defaults:
  - infer_static
  - _self_
protocol: mine
lr: 5e-4
"""


def name_of(config) -> str:
    return protocol_name(config, config.labeling.mode)


@pytest.mark.parametrize(
    ("words", "name", "changed"),
    [
        ("", "digits_static", []),
        ("labeling=fkd", "digits_fkd", []),
        ("evaluate=cpu labeling=hard", "cpu_hard", []),
        ("evaluate.lr=2e-3 evaluate.steps=400 evaluate.mix=mixup", "digits_static", []),
        ("evaluate.lr=1e-3", "digits_static*", ["lr"]),
        ("evaluate.repeats=1 evaluate.test_every=7", "digits_static", []),
        ("evaluate.split=val evaluate.val_fraction=0.2", "digits_static", []),
        ("evaluate=rded_cifar10 labeling=dynamic evaluate.reported=last", "rded_cifar10", []),
        ("evaluate=rded_cifar10 labeling=dynamic evaluate.test_from=0", "rded_cifar10@best*", ["test_from"]),
        ("evaluate=rded_tiny labeling=dynamic evaluate.batch_size_by_ipc={1:50}", "rded_tiny@best*", None),
        ("evaluate=infer_static labeling=dynamic evaluate.temperature=20", "infer_static+dynamic*", ["temperature"]),
        ("evaluate=sre2l_cifar labeling=dynamic precision=bf16", "sre2l_cifar*", ["precision"]),
        ("evaluate=sre2l_cifar labeling=dynamic precision=fp32", "sre2l_cifar", []),
        ("evaluate=sre2l_cifar labeling=dynamic evaluate.precision=bf16 precision=fp32", "sre2l_cifar", []),
        ("precision=bf16", "digits_static", []),
        ("evaluate.protocol=mine", "mine*", ["protocol"]),
        ("evaluate.protocol='digits(1)'", "digits(1)*", ["protocol"]),
        ("evaluate=dwa_cifar labeling=dynamic evaluate.protocol=sre2l_cifar", "sre2l_cifar*", ["normalise"]),
        ("sweep.student_steps=10", "digits_static*", []),
        ("experiment=infer_cifar10_cpu dataset.root=x", "cpu_static", []),
        ("experiment=imagenet1k_sample", "infer_imagenet_static*", ["epochs", "batch_size"]),
    ],
)
def test_the_star(resolved, words, name, changed):
    config = resolved(*words.split())
    assert name_of(config) == name
    assert changed is None or changed_settings(config) == changed


def test_a_baseline_has_the_star_of_its_run(resolved):
    assert protocol_name(resolved(), LabelMode.hard) == "digits_static+hard"
    assert protocol_name(resolved("evaluate.lr=1"), LabelMode.hard) == "digits_static+hard*"
    assert protocol_name(resolved(), LabelMode.static, is_overridden=True) == "digits_static*"


def test_a_file_of_ones_own_defaults_is_seen(tmp_path):
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / "local.yaml").write_text(LOCAL)
    register_all()
    with initialize_config_dir(config_dir=str(conf_folder()), version_base="1.3"):
        words = ["user=local", "dataset=cifar10", f"hydra.searchpath=[file://{tmp_path}]"]
        config = settings_of(hydra_compose("config", overrides=words))
        assert (name_of(config), changed_settings(config)) == ("infer_static*", ["lr"])


@pytest.mark.parametrize(("words", "name"), [([], "mine+hard"), (["evaluate.lr=1"], "mine+hard*")])
def test_a_protocol_of_ones_own_has_a_preset_too(launch_in, tmp_path, words, name):
    (tmp_path / "own" / "evaluate").mkdir(parents=True)
    (tmp_path / "own" / "evaluate" / "mine.yaml").write_text(OWN_PROTOCOL)
    nothing = ["method=random", "K=null", "ipc=1", "labeling=hard", "baselines=[]", "M=1", "stages=[squeeze]"]
    finished = launch_in(tmp_path, *nothing, "evaluate=mine", *words, "--config-dir", "own")
    assert finished.returncode == 0, finished.stderr
    said = finished.stdout.split()
    assert said[said.index("protocol") + 1] == name


def test_the_hash_is_that_of_the_settings(resolved):
    def digest(*words: str) -> str:
        return digest_of(protocol_settings(resolved("dataset=cifar10", *words)))

    assert digest() == digest("evaluate.lr=1e-3", "evaluate.repeats=7", "precision=fp32", "evaluate.split=val")
    assert digest() == digest("evaluate=infer_hard", "labeling=hard"), "the same settings under another name"
    others = [("evaluate.lr=1e-4",), ("precision=bf16",), ("evaluate.mix=none",), ("evaluate=infer_dynamic",)]
    assert len({digest(), *(digest(*words) for words in others)}) == 5


def test_published_protocols_train_in_fp32_and_ours_as_the_run_does(resolved):
    for path in (conf_folder() / "evaluate").glob("*.yaml"):
        precision = resolved(f"evaluate={path.stem}").evaluate.precision
        ours = path.stem.startswith(("cpu", "digits"))
        assert (precision is None) == ours and (ours or precision.value == "fp32"), path.stem
