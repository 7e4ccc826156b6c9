"""Asking for help must not wait for torch."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
_PROBE = """
import sys
sys.argv = ["launch.py", *{words!r}]
from infer.cli import main
try:
    main()
finally:
    print("torch" in sys.modules, file=sys.stderr)
"""


@pytest.mark.parametrize("words", [["--help"], ["--cfg", "job"], ["ipc=0"]])
def test_torch_is_not_imported(tmp_path, words):
    finished = subprocess.run(
        [sys.executable, "-c", _PROBE.format(words=words)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert finished.stderr.splitlines()[-1] == "False"


def test_help_says_what_can_be_chosen(tmp_path):
    finished = subprocess.run(
        [sys.executable, str(ROOT / "launch.py"), "--help"], cwd=tmp_path, capture_output=True, text=True
    )
    assert finished.returncode == 0
    for choice in ("dataset: cifar10,", "method: ", "labeling: dynamic,", "sweep: K, M,", "cluster: joblib,"):
        assert choice in finished.stdout
