"""Families of data sets: what they bring, where it is said, and what happens where nothing is said."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from infer.config import as_plain
from infer.config.presets import EXCEPTIONS, SETTINGS, conf_folder

SECTIONS = {
    path.stem: OmegaConf.to_container(OmegaConf.load(path)) for path in (conf_folder() / SETTINGS).glob("*.yaml")
}
FAMILIES = {path.stem for path in (conf_folder() / "family").glob("*.yaml")}
DATASETS = {path.stem for path in (conf_folder() / "dataset").glob("*.yaml")}
OWN_FAMILY = """\
# @package _global_
defaults:
  - /teachers: cifar
  - /student: resnet18
  - /evaluate: infer_${labeling}
"""
OWN_DATASET = """\
defaults:
  - /schema/dataset/folder@_here_
  - _self_
name: shapes
root: shapes
"""


@pytest.fixture
def own_conf(tmp_path) -> Path:
    """A folder for ``--config-dir`` with a family without settings and a data set without a family."""
    for group, name, text in (("family", "shapes", OWN_FAMILY), ("dataset", "shapes", OWN_DATASET)):
        (tmp_path / "mine" / group).mkdir(parents=True)
        (tmp_path / "mine" / group / f"{name}.yaml").write_text(text)
    return tmp_path


@pytest.mark.parametrize("method", SECTIONS)
def test_a_method_takes_the_section_of_the_family(resolved, method):
    assert SECTIONS[method]["families"].keys() == FAMILIES
    for family, section in SECTIONS[method]["families"].items():
        config = resolved(f"method={method}", "dataset=folder", "dataset.root=x", f"family={family}")
        assert as_plain(config)["method"].items() >= section.items()


@pytest.mark.parametrize("method", SECTIONS)
def test_a_data_set_changes_settings_of_its_family(resolved, method):
    assert SECTIONS[method]["exceptions"].keys() <= DATASETS
    for dataset, section in SECTIONS[method]["exceptions"].items():
        config = resolved(f"method={method}", f"dataset={dataset}", "dataset.root=x")
        assert as_plain(config)["method"].items() >= section.items()


def test_a_family_brings_teachers_student_and_protocol(resolved):
    config = resolved("dataset=folder", "dataset.root=x", "family=cifar", "labeling=dynamic")
    assert config.teachers.archs == ["resnet18", "mobilenetv2", "efficientnet_b0", "shufflenet_g2"]
    assert (config.student.archs, config.evaluate.protocol) == (["resnet18"], "infer_dynamic")
    assert resolved("dataset=folder", "dataset.root=x", "family=cifar", "teachers=light").teachers.epochs == 6


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["family=shapes"],
            "method=infer has no settings for family=shapes, only for cifar, digits, folder, imagenet, tiny. "
            "Type family=cifar, or write a file method/settings/infer_shapes.yaml",
        ),
        (
            ["dataset=shapes"],
            "family must be given; there are cifar, digits, folder, imagenet, shapes, tiny. Type family=cifar",
        ),
    ],
)
def test_a_data_set_without_settings_is_refused_in_one_line(launch_in, own_conf, words, says):
    finished = launch_in(own_conf, *words, "--config-dir", "mine")
    assert (finished.returncode, finished.stderr) == (2, f"infer: {says}\n")


def test_settings_of_a_family_of_ones_own(launch_in, own_conf):
    (own_conf / "mine" / SETTINGS).mkdir(parents=True)
    (own_conf / "mine" / SETTINGS / "infer_shapes.yaml").write_text("iterations: 7\n")
    words = ["dataset=shapes", "family=shapes", "--config-dir", "mine", "--cfg", "job", "-p", "method"]
    assert "iterations: 7\n" in launch_in(own_conf, *words).stdout
    assert launch_in(own_conf, "family=shapes", "method=random", *words[2:]).returncode == 0


@pytest.mark.parametrize("flag", ["defaults", "defaults-tree"])
def test_where_a_value_comes_from_is_shown(launch_in, tmp_path, flag):
    shown = launch_in(tmp_path, "dataset=cifar10", "--info", flag).stdout
    for line in (f"{SETTINGS} infer_cifar", f"{EXCEPTIONS} infer_cifar10", "family cifar", "teachers cifar"):
        group, option = line.split()
        assert f"{group}/{option} " in shown or f"{group}: {option}" in shown or f"{group}@method: {option}" in shown
