"""The infer command as a whole: help, wrong words, and what it must not wait for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infer.commands.main import run

ROOT = Path(__file__).resolve().parents[2]
RUN = "20260101-090000-000001-digits-infer-ipc10"


@pytest.mark.parametrize(
    "words", [[], ["nothing"], ["ls", "--nothing"], ["show"], ["table"], ["ls", "--json", "--csv"]]
)
def test_wrong_words_are_one_line(capsys, words):
    assert run(words) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("infer: ") and captured.err.count("\n") == 1
    assert "--help" in captured.err


def test_an_unexpected_error_is_one_line_too(monkeypatch, capsys):
    def fail(outputs):
        raise RuntimeError("out of\nluck")

    monkeypatch.setattr("infer.commands.ls.list_runs", fail)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    assert run(["ls"]) == 1
    assert capsys.readouterr().err.startswith("infer: RuntimeError: out of luck")
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(RuntimeError):
        run(["ls"])


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["ls"],
        ["show", RUN],
        ["diff", RUN, RUN],
        ["diff", "--config", "", ""],
        ["table", RUN],
        ["verify"],
        ["gc"],
    ],
)
def test_no_command_imports_torch(outputs, add_run, words):
    add_run(RUN)
    words = words if words == ["--help"] else [*words, "--outputs", str(outputs)]
    script = f"import sys; sys.argv = ['infer', *{words!r}]\nfrom infer.commands.main import main\ntry:\n    main()\n"
    script += "finally:\n    print({'torch', 'scipy', 'matplotlib'} & sys.modules.keys() or 'light')"
    finished = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (finished.returncode, finished.stdout.splitlines()[-1]) == (0, "light"), finished.stderr
