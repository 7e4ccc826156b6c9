"""Runs of ``launch.py`` that commands start in their own process."""

import argparse
import contextlib
import os
import sys
from typing import NoReturn

from infer import cli
from infer.commands.launch_words import label_hint, launch_words, outputs_words, path_of
from infer.exit_codes import FULL_ERROR
from infer.words import launch_command


def evaluate_set(options: argparse.Namespace) -> NoReturn:
    """Run ``launch.py method=imported method.path=...`` and exit with its exit code."""
    path = path_of(str(options.path), options.outputs)
    words = [*launch_words(path, options.settings), *outputs_words(options.outputs)]
    print(launch_command(words))
    if hint := label_hint(path, words):
        print(hint)
    launch(words)
    sys.exit(0)


def launch(words: list[str]) -> None:
    """Run ``launch.py`` with ``words`` in this process; if the run fails, exit as launch.py does."""
    sys.argv = ["launch.py", *words]
    asked_for_traceback = os.environ.get(FULL_ERROR)
    try:
        cli.main()
    except SystemExit as end:
        if end.code:
            raise
    finally:
        os.environ[FULL_ERROR] = asked_for_traceback or "0"  # launch.py changes it for Hydra


def launch_aside(words: list[str]) -> None:
    """``launch``, after printing the command line; all output goes to stderr, so that stdout has the result only."""
    with contextlib.redirect_stdout(sys.stderr):
        print(f"\n{launch_command(words)}")
        launch(words)
