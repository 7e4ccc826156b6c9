"""``cluster=``: its presets reach Hydra's launchers, and wrong values are refused in one line."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.types import RunMode
from omegaconf import OmegaConf

from infer.errors import UsageError
from infer.methods.registry import register_all
from infer.sweep import jobs

ROOT = Path(__file__).resolve().parents[2]


def _hydra(*words: str) -> tuple[RunMode | None, dict]:
    """Hydra's mode and launcher for a command line."""
    register_all()
    jobs.register()
    with initialize_config_dir(config_dir=str(ROOT / "conf"), version_base="1.3"):
        composed = compose("config", overrides=["hydra.sweep.dir=there", *words], return_hydra_config=True)
    return composed.hydra.mode, OmegaConf.to_container(composed.hydra.launcher, resolve=True)


def test_slurm_hands_its_settings_to_the_launcher():
    words = ["time_min=90", "memory_gb=3", "gpus=2", "cpus=5", "partition=p", "account=a", "qos=q"]
    words += ["array_parallelism=7", "requeues=1", "signal_delay_s=30", 'setup=["module load x"]']
    mode, launcher = _hydra("cluster=slurm", *[f"cluster.{word}" for word in words], "+cluster.additional.wckey=mine")
    assert mode is RunMode.MULTIRUN
    assert launcher == _hydra("hydra/launcher=submitit_slurm")[1] | {
        "timeout_min": 90,
        "mem_gb": 3,
        "gpus_per_node": 2,
        "cpus_per_task": 5,
        "partition": "p",
        "account": "a",
        "qos": "q",
        "array_parallelism": 7,
        "max_num_timeout": 1,
        "signal_delay_s": 30,
        "setup": ["module load x"],
        "additional_parameters": {"requeue": True, "wckey": "mine"},
    }


@pytest.mark.parametrize(
    ("words", "gpus", "ranks", "nodes"),
    [
        ("", 1, 1, 1),
        ("cluster.gpus=2", 2, 1, 1),
        ("cluster.gpus_per_job=8", 8, 8, 1),
        ("cluster.gpus_per_job=8 cluster.nodes=2", 4, 4, 2),
        ("cluster.gpus_per_job=8 cluster.gpus=0", 0, 8, 1),
        ("cluster.gpus_per_job=8 cluster.gpus=null", None, 8, 1),
    ],
)
def test_ranks_of_a_job_are_tasks_of_slurm(words, gpus, ranks, nodes):
    launcher = _hydra("cluster=slurm", *words.split())[1]
    assert [launcher[key] for key in ("gpus_per_node", "tasks_per_node", "nodes")] == [gpus, ranks, nodes]


def test_joblib_hands_its_settings_to_the_launcher():
    mode, launcher = _hydra("cluster=joblib", "cluster.processes=3")
    assert mode is RunMode.MULTIRUN
    assert launcher == _hydra("hydra/launcher=joblib")[1] | {"n_jobs": 3, "batch_size": "1"}


def test_local_stays_with_hydras_own_launcher():
    assert _hydra() == _hydra("cluster=local") == _hydra("hydra/launcher=basic")
    assert _hydra()[0] is None


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("cluster=joblib cluster.processes=0", "cluster.processes=0"),
        ("cluster=joblib cluster.threads=0", "cluster.threads=0"),
        ("cluster=slurm cluster.cpus=0", "cluster.cpus=0"),
        ("cluster=slurm cluster.gpus=-1", "cluster.gpus=-1"),
        ("cluster=slurm cluster.gpus_per_job=0", "cluster.gpus_per_job=0"),
        ("cluster=slurm cluster.gpus_per_job=8 cluster.nodes=3", "cluster.nodes=3 must divide it"),
        ("cluster=slurm cluster.gpus_per_job=8 cluster.gpus=2", "each rank has a GPU"),
        ("cluster=slurm +cluster.additional.ntasks_per_node=2", "use cluster.gpus_per_job"),
        ("cluster=slurm +cluster.additional.nodes=2", "use cluster.nodes"),
        ("cluster=slurm cluster.memory_gb=0", "cluster.memory_gb=0"),
        ("cluster=slurm cluster.requeues=-1", "cluster.requeues=-1"),
        ("cluster=slurm cluster.array_parallelism=0", "cluster.array_parallelism=0"),
        ("cluster=slurm cluster.signal_delay_s=0", "cluster.signal_delay_s=0"),
        ("cluster=slurm cluster.jobs_per_gpu=0", "cluster.jobs_per_gpu=0"),
        ("cluster=slurm cluster.jobs_per_node=0", "cluster.jobs_per_node=0"),
        ("cluster=slurm cluster.jobs_per_gpu=2 cluster.jobs_per_node=3", "a multiple of cluster.jobs_per_gpu=2"),
        ("cluster=slurm cluster.jobs_per_gpu=2 cluster.gpus=0", "Type cluster.jobs_per_node"),
        ("cluster=slurm cluster.grow_memory=true cluster.memory_gb=null", "give cluster.memory_gb"),
        ("sweep.retry=-1", "sweep.retry=-1"),
        ("cluster=slurm cluster.time_min=3", "must be at least 4"),
        ("cluster=slurm cluster.time_min=4 cluster.signal_delay_s=121", "must be at least 5"),
        ("cluster=slurm +cluster.additional.time=10", "use cluster.time_min"),
        ("cluster=slurm +cluster.additional.gpus_per_node=1", "use cluster.gpus"),
        ("cluster=slurm +cluster.additional.output=x", "submitit sets it"),
    ],
)
def test_refused_in_one_line(resolved, word, says):
    with pytest.raises(UsageError) as refusal:
        resolved(*word.split())
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "words",
    [
        "cluster=slurm cluster.time_min=4",
        "cluster=slurm cluster.gpus=0 cluster.memory_gb=null",
        "cluster=slurm cluster.gpus=null +cluster.additional.gres=gpu:a100:1",
    ],
)
def test_allowed(resolved, words):
    resolved(*words.split())
