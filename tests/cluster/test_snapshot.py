"""Settings and code are those of the submission, whatever happens to the checkout until a job starts."""

import subprocess
import sys
from pathlib import Path

import cloudpickle
import pytest
from helpers.records import write_sweep
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra.core.plugins import Plugins
from hydra.types import RunMode
from omegaconf import DictConfig

from infer.cluster import freeze, launcher_settings, prepare, snapshot
from infer.config.cluster import ClusterConfig, SlurmCluster
from infer.errors import UsageError
from infer.records.folders import sweep_jobs


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    """A small checkout, which takes the place of the real one, and is the current folder."""
    folder = tmp_path / "checkout"
    (folder / "infer" / "__pycache__").mkdir(parents=True)
    (folder / "conf").mkdir()
    (folder / "infer" / "__init__.py").write_text("answer = 'submitted'\n")
    (folder / "infer" / "__pycache__" / "large.pyc").write_bytes(b"x" * 1000)
    (folder / "conf" / "config.yaml").write_text("ipc: 10\n")
    monkeypatch.setattr(snapshot.infer, "__file__", str(folder / "infer" / "__init__.py"))
    monkeypatch.setattr(snapshot, "conf_folder", lambda: folder / "conf")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def loader(checkout, tmp_path) -> ConfigLoaderImpl:
    """Hydra's loader of a sweep that was typed in the checkout, with ``--config-dir``."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "extra.yaml").write_text("note: submitted\n")
    Plugins.instance()  # which knows the kinds of sources
    path = ConfigSearchPathImpl()
    path.append("hydra", "pkg://hydra.conf")
    path.append("command-line", f"file://{tmp_path / 'mine'}")
    path.append("main", f"file://{checkout / 'conf'}")
    path.append("schema", "structured://")
    return ConfigLoaderImpl(path)


def _composed(loader: ConfigLoaderImpl) -> DictConfig:
    return loader.load_configuration("config", [], RunMode.RUN)


def test_a_default_that_is_edited_later_changes_nothing(checkout, loader, tmp_path):
    assert freeze(SlurmCluster(), tmp_path / "sweep" / ".snapshot", loader)
    in_queue = cloudpickle.dumps(loader)
    (checkout / "conf" / "config.yaml").write_text("ipc: 50\n")
    (tmp_path / "mine" / "extra.yaml").write_text("note: edited\n")
    job = cloudpickle.loads(in_queue)
    assert _composed(job).ipc == 10
    assert job.repository.load_config("extra").config.note == "submitted"


def test_code_that_is_edited_later_changes_nothing(checkout, loader, tmp_path):
    freeze(SlurmCluster(), tmp_path / "sweep" / ".snapshot", loader)
    (checkout / "infer" / "__init__.py").write_text("answer = 'edited'\n")
    assert _of_a_job(SlurmCluster(), tmp_path / "sweep").stdout == "submitted\n"
    assert not list((tmp_path / "sweep").rglob("*.pyc"))  # of the checkout; the job is told to write none


def test_without_a_snapshot_jobs_run_what_is_there(checkout, loader, tmp_path):
    cluster = SlurmCluster(snapshot=False)
    assert not freeze(cluster, tmp_path / "sweep" / ".snapshot", loader)
    (checkout / "infer" / "__init__.py").write_text("answer = 'edited'\n")
    assert _of_a_job(cluster, tmp_path / "sweep").stdout == "edited\n"
    assert not (tmp_path / "sweep").exists()


def test_jobs_of_this_machine_need_none(loader, tmp_path):
    assert not freeze(ClusterConfig(), tmp_path, loader)
    assert launcher_settings(ClusterConfig(), tmp_path, None) == {}


def test_a_job_without_its_snapshot_ends_with_one_line(checkout, loader, tmp_path):
    """Also one that had started once and was queued again."""
    freeze(SlurmCluster(), tmp_path / "sweep" / ".snapshot", loader)
    (tmp_path / "sweep" / ".snapshot").rename(tmp_path / "away")
    job = _of_a_job(SlurmCluster(), tmp_path / "sweep")
    assert job.returncode == 1 and job.stdout == ""
    assert job.stderr.startswith("infer: ") and ".snapshot is gone" in job.stderr and job.stderr.count("\n") == 1


def test_the_table_says_that_the_snapshot_is_gone(tmp_path):
    sweep = write_sweep(tmp_path / "sweeps" / "s", {"M": ["1", "2"]}, changes={1: None}, snapshot=True)
    (sweep / ".snapshot").mkdir()
    assert [job.reason for job in sweep_jobs(sweep)] == [
        None,
        "it left no record: it never started, or was killed at once",
    ]
    (sweep / ".snapshot").rmdir()
    done, lost = sweep_jobs(sweep)
    assert done.reason is None and lost.state == "lost" and "type the sweep again" in lost.reason


def test_a_large_checkout_is_refused(checkout, loader, tmp_path):
    with (checkout / "infer" / "weights.bin").open("wb") as file:
        file.truncate(21 * 10**6)
    with pytest.raises(UsageError, match=r"21 MB.*largest file is .*weights.bin.*cluster.snapshot=false") as refusal:
        freeze(SlurmCluster(), tmp_path / "sweep" / ".snapshot", loader)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "sweep").exists()


def test_a_folder_with_the_snapshot_of_another_sweep_is_refused(loader, tmp_path):
    freeze(SlurmCluster(), tmp_path / "sweep" / ".snapshot", loader)
    with pytest.raises(UsageError, match="submitted before"):
        freeze(SlurmCluster(), tmp_path / "sweep" / ".snapshot", loader)


def test_sbatch_is_told_of_the_snapshot_after_what_a_person_sets_up(tmp_path, capsys):
    cluster = SlurmCluster(dry_run=True, setup=["module load x"])
    launcher = {"submitit_folder": str(tmp_path), "max_num_timeout": 0} | launcher_settings(
        cluster, tmp_path / ".snapshot", None
    )
    with pytest.raises(SystemExit):
        prepare(cluster, launcher, 1)
    script = capsys.readouterr().out
    assert script.index("module load x") < script.index(f"export PYTHONPATH={tmp_path}/.snapshot")


def _of_a_job(cluster: SlurmCluster, sweep: Path) -> subprocess.CompletedProcess:
    """Output of a job of ``sweep`` that prints what it imports, by the shell that SLURM runs it with."""
    setup = launcher_settings(cluster, sweep / ".snapshot", None)["setup"]
    command = f"{sys.executable} -B -m this_prints"
    (sweep.parent / "tools").mkdir()
    (sweep.parent / "tools" / "this_prints.py").write_text("import infer\nprint(infer.answer)\n")
    return subprocess.run(
        ["bash", "-c", "\n".join([*setup, command])],
        env={"PYTHONPATH": str(sweep.parent / "tools"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
