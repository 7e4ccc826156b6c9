"""Command line of ``launch.py``: Hydra composes the config, the pipeline runs it, and errors become one line."""

import argparse
import contextlib
import io
import os
import re
import sys
from dataclasses import fields
from pathlib import Path
from typing import NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from infer import cluster, exit_codes, help
from infer.config import Config
from infer.config.presets import check_choices, check_own_presets, conf_folder, searched_folders
from infer.errors import UsageError
from infer.interruption import interruption
from infer.methods.registry import register_all
from infer.pipeline.settings import settings_of
from infer.ranks import ranks
from infer.sweep import callback, jobs
from infer.words import shell_line, with_home_quoted

_MODES = ("run", "multirun", "cfg", "info", "shell_completion")
"""Flags of Hydra of which only one can be given."""
_COMPLETIONS = tuple(f"{command}={shell}" for command in ("install", "uninstall") for shell in ("bash", "fish", "zsh"))
"""Words that users type after --shell-completion; its third command, query, is for shells."""


@hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="config")
def _launch(composed: DictConfig) -> None:
    try:
        exit_codes.leave_on_error(lambda: _run(composed), keep_going=HydraConfig.get().mode is RunMode.MULTIRUN)
    except SystemExit as end:
        cluster.leave_job(end.code if isinstance(end.code, int) else 1)
        raise


def _run(composed: DictConfig) -> None:
    interruption.handle_signals()
    config = settings_of(composed)  # before torch is imported, so that a wrong setting is refused without delay
    from infer.pipeline.run import run, with_retries

    with_retries(config, run)


def main() -> None:
    """Entry point of ``launch.py`` and of the installed command."""
    sys.argv[1:] = sorted(
        with_home_quoted(sys.argv[1:]), key=lambda word: word not in ("-m", "--multirun")
    )  # the flag of a sweep first, wherever it was typed
    jobs.register()
    sys.exit(callback.exit_code_after(exit_codes.exit_code_of(_answer)))


def _answer() -> None:
    """Print the help or a part of the settings, or launch a run or a sweep."""
    flags = _checked_flags(sys.argv[1:])
    _join_ranks()
    register_all()
    if help.is_asked(sys.argv[1:]):
        print(help.text(conf_folder(), sys.argv[1:]))
    elif flags.package:
        _show(flags.package)
    elif flags.info:
        _inform()
    else:
        _launch()


def _join_ranks() -> None:
    """Connect with the other ranks where torchrun has started several; only rank 0 prints and has a folder."""
    ranks.start()
    if not ranks.first:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 # until the process ends
        sys.argv += ["hydra.run.dir=.", "hydra.output_subdir=null"]


def _show(package: str) -> None:
    """Let Hydra print a part of the settings; its message about a part that does not exist is replaced."""
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            _launch()
    except SystemExit:
        if "not found in config" not in told.getvalue():
            sys.stderr.write(told.getvalue())
            raise
        raise UsageError(
            f"--package {package} names no group or setting, or one that is null. Type python launch.py --cfg job"
        ) from None


def _inform() -> None:
    """Collect what Hydra logs for --info, and print it.

    A logger would print tracebacks where the reader of a pipe has closed it.
    """
    logged = io.StringIO()
    with contextlib.redirect_stdout(logged):
        _launch()
    print(logged.getvalue(), end="")


def _checked_flags(words: list[str]) -> argparse.Namespace:
    """Hydra's flags among ``words``. Raises UsageError for words that Hydra answers with a traceback or its usage."""
    flags = _flags(words)
    _require_possible(flags)
    given = [Path(flags.config_dir)] if flags.config_dir else []
    for folder in (conf_folder(), *given, *searched_folders(flags.overrides)):
        check_own_presets(folder)
    check_choices(flags.overrides)
    nameless = [word for word in words if word.startswith("=")]
    if nameless:
        raise UsageError(f"{nameless[0]!r} names no setting. Type <key>{nameless[0]}")
    return flags


def _require_possible(flags: argparse.Namespace) -> None:
    """Raise UsageError for flags that Hydra refuses with its own error or ignores, or for which it loads a pickle."""
    if flags.experimental_rerun is not None:  # loading a pickle may run any program
        raise UsageError("--experimental-rerun is not accepted: it runs whatever a file says. Type infer rerun <run>")
    for name in ("config_dir", "config_path", "config_name"):
        if (word := getattr(flags, name)) is not None and not word.strip():
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"{flag} is empty, perhaps from a variable that is not set. Leave it out")
    if flags.multirun and (flags.cfg or flags.info):
        raise UsageError(
            "-m and --cfg do not go together: --cfg shows the settings of one run. Give one value for each setting and "
            "leave out -m; a sweep says what its jobs are before it starts them"
        )
    given = [f"--{mode.replace('_', '-')}" for mode in _MODES if getattr(flags, mode)]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} do not go together. Type one of them")
    if flags.resolve and not (flags.cfg or flags.help):
        raise UsageError("--resolve belongs to --cfg. Type --cfg job --resolve")
    is_query = "COMP_LINE" in os.environ and any(word.startswith("query=") for word in flags.overrides)
    if flags.shell_completion and not is_query and not any(word in _COMPLETIONS for word in flags.overrides):
        raise UsageError(
            f"--shell-completion takes one of {', '.join(_COMPLETIONS)}. "
            'Type eval "$(python launch.py --shell-completion install=bash)"'
        )


def _flags(words: list[str]) -> argparse.Namespace:
    """Hydra's flags among ``words``. Raises UsageError for unknown flags."""
    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        keys = {field.name for field in fields(Config)}
        dashed = [found for word in words if (found := re.match(r"--?((\w+)[\w.]*)(=.*)?$", word)) and found[2] in keys]
        setting = shell_line([f"{dashed[0][1]}{dashed[0][3] or '=<value>'}"]) if dashed else None
        raise UsageError(f"{message}. Type {setting or 'python launch.py --hydra-help'}")

    parser.error = refuse  # type: ignore[method-assign] # the original prints the usage and exits
    return parser.parse_args(words)
