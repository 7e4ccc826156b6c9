"""A sweep that waits in SLURM's queue while its checkout is edited."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from own_slurm import wait_until

ROOT = Path(__file__).resolve().parents[2]
_WORDS = (
    *("-m", "seed=0,1", "stages=[squeeze]", "teachers.archs=[resnet8_w8]", "teachers.epochs=1"),
    *("teachers.min_top1=null", "cluster=slurm", "cluster.memory_gb=1", "cluster.gpus=0", "cluster.cpus=1"),
)


def test_edits_while_jobs_wait_in_the_queue_change_nothing(slurm, tmp_path):
    checkout = tmp_path / "checkout"
    for name in ("infer", "conf"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "launch.py", checkout)
    with slurm.holding():
        typed = subprocess.Popen(
            [sys.executable, "launch.py", *_WORDS],
            cwd=checkout,
            env=slurm.environment | {"PYTHONPATH": str(checkout)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        pickles = "outputs/sweeps/*/.submitit/*/*_submitted.pkl"
        wait_until(lambda: list(checkout.glob(pickles)) or typed.poll() is not None, "it is submitted")
        assert typed.poll() is None, typed.communicate()[0]
        with (checkout / "conf" / "config.yaml").open("a") as file:
            file.write("ipc: 3\n")
        (checkout / "infer" / "pipeline" / "run.py").write_text("raise SystemError('edited')\n")
    output = typed.communicate(timeout=120)[0]
    assert typed.returncode == 0, output
    records = [json.loads(path.read_text()) for path in checkout.glob("outputs/sweeps/*/*/result.json")]
    assert [(record["status"], record["config"]["ipc"]) for record in records] == [("done", 10)] * 2, output
