"""The data sets' settings, and what importing them costs."""

import subprocess
import sys

import pytest
from omegaconf import OmegaConf

from infer.config.dataset import Cifar10Config, Cifar100Config, DigitsConfig, FolderConfig
from infer.errors import UsageError


@pytest.mark.parametrize("config", [DigitsConfig, Cifar10Config, Cifar100Config, FolderConfig])
def test_settings_pass_through_omegaconf(config):
    node = OmegaConf.structured(config)
    for key in OmegaConf.missing_keys(node):
        node[key] = "somewhere"
    assert isinstance(OmegaConf.to_object(node), config)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"resize": 0}, "dataset.resize=0"),
        ({"mean": [0.5] * 3}, "dataset.std=null"),
        ({"std": [0.5] * 3}, "dataset.mean=null"),
        ({"mean": [0.5], "std": [0.5] * 3}, "dataset.mean=[0.5]"),
        ({"mean": [0.5, 0.5, 1.5], "std": [0.5] * 3}, "dataset.mean=[0.5, 0.5, 1.5]"),
        ({"mean": [0.5] * 3, "std": [0.5, 0.0, 0.5]}, "dataset.std=[0.5, 0.0, 0.5]"),
    ],
)
def test_settings_out_of_range_are_refused(settings, word):
    with pytest.raises(UsageError) as raised:
        FolderConfig(root="somewhere", **settings)
    assert word in str(raised.value) and "\n" not in str(raised.value)


def test_importing_the_package_needs_no_torch():
    code = "import sys, infer.data; sys.exit('torch' in sys.modules or 'sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
