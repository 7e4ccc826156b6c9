"""Before the first job: what is missing is said in one line, and a dry run shows what sbatch would get."""

import builtins
import importlib.util
import subprocess
from pathlib import Path

import pytest

from infer.cluster import enter_job, prepare, slurm, wait_for_jobs
from infer.config.cluster import ClusterConfig, JoblibCluster, SlurmCluster
from infer.errors import UsageError

LAUNCHER = {
    "submitit_folder": "there/.submitit/%j",
    "name": "infer",
    "timeout_min": 90,
    "mem_gb": 3,
    "gpus_per_node": None,
    "cpus_per_task": 5,
    "nodes": 1,
    "tasks_per_node": 1,
    "partition": "p",
    "signal_delay_s": 30,
    "array_parallelism": 2,
    "max_num_timeout": 3,
    "setup": ["module load x"],
    "stderr_to_stdout": False,
    "additional_parameters": {"requeue": True, "wckey": "mine"},
}


@pytest.fixture
def with_slurms_commands(monkeypatch):
    monkeypatch.setattr(slurm.shutil, "which", lambda command: f"/usr/bin/{command}")


def _refusal(cluster: ClusterConfig) -> str:
    with pytest.raises(UsageError) as refusal:
        prepare(cluster, LAUNCHER, 3)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def _directives(text: str) -> set[str]:
    return {line.removeprefix("#SBATCH --") for line in text.splitlines() if line.startswith("#SBATCH")}


def test_a_dry_run_prints_the_array_and_submits_nothing(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))  # a machine without SLURM
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as leaving:
        prepare(SlurmCluster(dry_run=True), LAUNCHER, 3)
    assert leaving.value.code == 0
    text = capsys.readouterr().out
    expected = {"array=0-2%2", "time=90", "mem=3GB", "cpus-per-task=5", "partition=p", "signal=USR2@30", "nodes=1"}
    expected |= {"ntasks-per-node=1", "job-name=infer", "requeue", "wckey=mine", "open-mode=append"}
    logs = f"{tmp_path}/there/.submitit/%A_%a/%A_%a_0_log"
    assert _directives(text) == expected | {f"output={logs}.out", f"error={logs}.err"}
    setup, command = text.index("\nmodule load x\n"), text.index("\nsrun ")
    assert setup < command
    assert not list(tmp_path.iterdir())


def test_a_dry_run_shows_the_ranks_of_a_job(capsys):
    launcher = LAUNCHER | {"nodes": 2, "tasks_per_node": 4, "gpus_per_node": 4}
    with pytest.raises(SystemExit):
        prepare(SlurmCluster(dry_run=True, gpus_per_job=8, nodes=2), launcher, 1)
    assert {"nodes=2", "ntasks-per-node=4", "gpus-per-node=4"} <= _directives(capsys.readouterr().out)


def test_one_job_is_no_array(capsys):
    with pytest.raises(SystemExit):
        prepare(SlurmCluster(dry_run=True), LAUNCHER, 1)
    assert not [line for line in _directives(capsys.readouterr().out) if line.startswith("array")]


@pytest.mark.parametrize(("cluster", "extra"), [(SlurmCluster(dry_run=True), "slurm"), (JoblibCluster(), "joblib")])
def test_without_its_extra_a_cluster_names_what_to_install(monkeypatch, cluster, extra):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name.startswith("hydra_plugins.") else find(name)
    )
    assert f'pip install -e ".[{extra}]"' in _refusal(cluster)


def test_without_sbatch(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "sbatch, which is not on PATH" in _refusal(SlurmCluster())


@pytest.mark.parametrize("other", [False, True])
def test_a_package_that_jobs_cannot_import(monkeypatch, tmp_path, with_slurms_commands, other):
    """Nothing called infer where jobs look, or another one."""
    if other:
        (tmp_path / "infer.py").touch()
    answer = str(tmp_path / "infer.py") if other else ""
    monkeypatch.setattr(slurm.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, f"{answer}\n", ""))
    message = _refusal(SlurmCluster(snapshot=False))
    assert f"`import infer` finds {answer or 'nothing'}" in message
    assert 'pip install -e "' in message


def test_the_question_what_jobs_import_finds_this_package(monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    slurm._require_package_in_jobs()


@pytest.mark.parametrize(
    ("answer", "keeps"),
    [
        ("AccountingStorageTRES   = cpu\nAccountingStorageType   = accounting_storage/slurmdbd\n", True),
        ("AccountingStorageTRES   = cpu\nAccountingStorageType   = accounting_storage/none\n", False),
        ("AccountingStorageType   = (null)\n", False),
    ],
)
def test_whether_the_cluster_keeps_accounts(monkeypatch, answer, keeps):
    monkeypatch.setattr(slurm.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, answer, ""))
    assert slurm._keeps_accounts() is keeps


def test_a_cluster_that_does_not_answer(monkeypatch):
    failure = subprocess.CompletedProcess([], 1, "", "slurm_load_ctl_conf error:\nUnable to contact slurm controller\n")
    monkeypatch.setattr(slurm.subprocess, "run", lambda *_, **__: failure)
    with pytest.raises(UsageError, match="does not answer: slurm_load_ctl_conf error: Unable to contact"):
        slurm._keeps_accounts()


def test_local_jobs_need_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(builtins, "print", None)
    prepare(ClusterConfig(), {}, 2)
    wait_for_jobs(ClusterConfig(), tmp_path)
    wait_for_jobs(JoblibCluster(), tmp_path)
    assert enter_job(ClusterConfig()) is None
