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
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "launch.py"
_TIMEOUT_S = 300
_PRELOADED = ["infer.cli", "infer.pipeline.run", "infer.stages.pictures", "infer.plots.run", "infer.reports.run"]

forkserver = multiprocessing.get_context("forkserver")
forkserver.set_forkserver_preload(_PRELOADED)


class Launched:
    """A program that runs in ``folder``, forked from an interpreter with its imports done; as ``subprocess.Popen``."""

    def __init__(
        self, folder: Path, words: Sequence[str], environment: Mapping[str, str], out: Path, err: Path, program: Path
    ) -> None:
        arguments = (str(folder), str(program), *words), dict(environment), (str(out), str(err))
        self._process = forkserver.Process(target=_run, args=arguments)
        self._process.start()

    @property
    def pid(self) -> int:
        """Number of the process, which leads a group of its own."""
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Exit code, negative for a signal; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Exit code once it has ended; raises TimeoutExpired, and kills it, after ``timeout`` seconds."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            self._process.kill()
            raise subprocess.TimeoutExpired(str(PROGRAM), timeout or 0)
        return self._process.exitcode


def launch(folder: Path, words: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess:
    """Type ``python launch.py <words>`` in ``folder``, in an interpreter that has imported the program."""
    with tempfile.TemporaryDirectory() as outputs:
        out, err = (Path(outputs, name) for name in ("out", "err"))
        code = Launched(folder, words, environment, out, err, PROGRAM).wait(_TIMEOUT_S)
        return subprocess.CompletedProcess([str(PROGRAM), *words], code, out.read_text(), err.read_text())


def launch_afresh(folder: Path, words: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess:
    """The same in a fresh interpreter."""
    command = [sys.executable, str(PROGRAM), *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S)


def _run(command: tuple[str, ...], environment: dict[str, str], outputs: tuple[str, str]) -> None:
    os.setsid()
    for descriptor, path in enumerate(outputs, start=1):
        os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND), descriptor)
    folder, *sys.argv = command
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    runpy.run_path(sys.argv[0], run_name="__main__")
