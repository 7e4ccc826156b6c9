"""Command line of ``launch.py``: Hydra composes the config, the pipeline runs it, errors end in one line."""

import os
import sys

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from infer import exit_codes, help
from infer.config.presets import conf_folder
from infer.errors import UsageError
from infer.interruption import interruption
from infer.methods.registry import register_all
from infer.pipeline.settings import settings_of
from infer.ranks import ranks
from infer.sweep import callback, jobs
from infer.words import with_home_quoted


@hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="config")
def _launch(composed: DictConfig) -> None:
    exit_codes.leave_on_error(lambda: _run(composed), keep_going=HydraConfig.get().mode is RunMode.MULTIRUN)


def _run(composed: DictConfig) -> None:
    interruption.handle_signals()
    config = settings_of(composed)  # before torch is imported: a wrong setting is refused at once
    from infer.pipeline.run import run, with_retries

    with_retries(config, run)


def main() -> None:
    """Entry of ``launch.py`` and of the installed command."""
    sys.argv[1:] = sorted(
        with_home_quoted(sys.argv[1:]), key=lambda word: word not in ("-m", "--multirun")
    )  # wherever they were typed
    jobs.register()
    sys.exit(callback.exit_code_after(exit_codes.exit_code_of(_answer)))


def _answer() -> None:
    """Print the help, or launch what was typed."""
    _refuse_flags(sys.argv[1:])
    _join_ranks()
    register_all()
    if help.is_asked(sys.argv[1:]):
        print(help.text(conf_folder(), sys.argv[1:]))
    else:
        _launch()


def _join_ranks() -> None:
    """Meet the other ranks where torchrun has started several; rank 0 alone prints and has a folder."""
    ranks.start()
    if not ranks.first:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 # until the process ends
        sys.argv += ["hydra.run.dir=.", "hydra.output_subdir=null"]


def _refuse_flags(words: list[str]) -> None:
    """Raise UsageError for words that Hydra answers with a traceback."""
    if {"-m", "--multirun"} & {*words} and any(
        word.partition("=")[0] in ("--cfg", "-c", "--info", "-i") for word in words
    ):
        raise UsageError(
            "-m and --cfg do not go together: --cfg shows the settings of one run. Give one value for each setting and "
            "leave out -m; a sweep says what its jobs are before it starts them"
        )
    nameless = [word for word in words if word.startswith("=")]
    if nameless:
        raise UsageError(f"{nameless[0]!r} names no setting. Type <key>{nameless[0]}")
