"""Settings that tests compose quickly, in one process, are those that the program composes."""

import pytest
from omegaconf import OmegaConf

_WORDS = (
    (),
    ("dataset=cifar100", "method=rded", "labeling=dynamic"),
    ("experiment=open_num_teachers", "variant=teachers_1_of_60", "hydra.mode=RUN", "ipc=3"),
)


@pytest.mark.parametrize("words", _WORDS)
def test_the_same_settings_as_the_program_s_each_time(compose, launch_in, tmp_path, words):
    shown = launch_in(tmp_path, *words, "--cfg", "job").stdout
    first = compose(*words)
    assert OmegaConf.to_yaml(first) == shown.rstrip("\n") + "\n"
    first.method.name = first.dataset.name = "changed"
    first.teachers.archs.append("changed")
    assert OmegaConf.to_yaml(compose(*words)) == shown.rstrip("\n") + "\n"
