"""Jobs of a sweep and their names, without running any."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from infer.config.presets import conf_folder
from infer.methods.registry import register_all
from infer.sweep.jobs import job_folder, jobs_of


@pytest.fixture
def jobs():
    """The swept settings and the words of every job, for the words of a command line."""

    def jobs_for(*words: str) -> tuple[dict[str, list[str]], list[list[str]]]:
        register_all()
        with initialize_config_dir(config_dir=str(conf_folder()), version_base="1.3"):
            plain = [word for word in words if "," not in word or word.startswith("sweep.")]
            sweep = compose("config", overrides=plain, return_hydra_config=True)
            sweep.hydra.overrides.task = list(words)
            found = jobs_of(sweep, GlobalHydra.instance().config_loader())
            return found.swept, [[word for word in job if not word.startswith("sweep.")] for job in found.jobs]

    return jobs_for


def test_every_combination_is_a_job(jobs):
    swept, words = jobs("ipc=3", "M=1,2", "evaluate.lr=1e-3,5e-4")
    assert swept == {"M": ["1", "2"], "evaluate.lr": ["0.001", "0.0005"]}
    assert len(words) == 4 and words[1] == ["ipc=3", "M=1", "evaluate.lr=0.0005"]


def test_what_is_typed_narrows_a_preset(jobs):
    assert jobs("sweep=M")[0] == {"M": ["1", "2", "3", "4"]}
    swept, words = jobs("sweep=M", "M=2")
    assert swept == {} and [word for word in words[0] if word.startswith("M=")] == ["M=2"]
    assert jobs("sweep=M", "seed=0,1")[0] == {"M": ["1", "2", "3", "4"], "seed": ["0", "1"]}


@pytest.mark.parametrize("preset", ["M", "K", "lr", "method_lr", "labelings", "students", "seeds"])
def test_every_preset_sweeps_without_the_flag(jobs, preset):
    swept, words = jobs(f"sweep={preset}")
    assert len(swept) == 1 and len(words) >= 3
    with initialize_config_dir(config_dir=str(conf_folder()), version_base="1.3"):
        assert compose("config", [f"sweep={preset}"], return_hydra_config=True).hydra.mode.name == "MULTIRUN"


def test_names_say_what_varies_and_nothing_else():
    words = ["ipc=3", "M=1", "student.archs=[resnet18]", "worker=2"]
    assert job_folder(3, words, ["M"]) == "3-M=1"
    assert job_folder(3, words, ["M", "student.archs"]) == "3-M=1,student.archs=resnet18"
    assert job_folder(0, words, []) == "0"


def test_names_are_folders_of_a_bearable_length():
    words = [f"dataset.root=/data/{'x' * 100}/{end}" for end in "ab"]
    names = [job_folder(0, [word], ["dataset.root"]) for word in words]
    assert names[0] != names[1] and all(len(name) <= 80 and "/" not in name for name in names)
