"""``python launch.py ...`` in processes of their own that are forked from one with every import done.

The program's imports take seconds, which hundreds of launches would spend again and again. Settings, files, output and
exit codes are those of a fresh interpreter; what is read while modules load is not, and needs one.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "launch.py"
_TIMEOUT_S = 300
_PRELOADED = ["infer.cli", "infer.pipeline.run", "infer.stages.pictures", "infer.plots.run", "infer.reports.run"]

_forkserver = multiprocessing.get_context("forkserver")
_forkserver.set_forkserver_preload(_PRELOADED)


def launch(folder: Path, words: tuple[str, ...], environment: Mapping[str, str]) -> subprocess.CompletedProcess:
    """Type ``python launch.py <words>`` in ``folder``, in an interpreter that has imported the program."""
    with tempfile.TemporaryDirectory() as outputs:
        out, err = (Path(outputs, name) for name in ("out", "err"))
        child = _forkserver.Process(target=_run, args=(str(folder), words, dict(environment), str(out), str(err)))
        child.start()
        child.join(_TIMEOUT_S)
        if child.is_alive():
            child.kill()
            raise subprocess.TimeoutExpired([str(PROGRAM), *words], _TIMEOUT_S)
        return subprocess.CompletedProcess([str(PROGRAM), *words], child.exitcode, out.read_text(), err.read_text())


def launch_afresh(folder: Path, words: tuple[str, ...], environment: Mapping[str, str]) -> subprocess.CompletedProcess:
    """The same in a fresh interpreter."""
    command = [sys.executable, str(PROGRAM), *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S)


def _run(folder: str, words: tuple[str, ...], environment: dict[str, str], out: str, err: str) -> None:
    for path, descriptor in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY), descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [str(PROGRAM), *words]
    runpy.run_path(str(PROGRAM), run_name="__main__")
