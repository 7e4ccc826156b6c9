"""Command line of ``launch.py``: Hydra composes the config, the pipeline runs it, errors end in one line."""

import sys

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from infer import exit_codes, help
from infer.config.presets import conf_folder
from infer.interruption import interruption
from infer.methods.registry import register_all
from infer.pipeline.settings import settings_of
from infer.sweep import callback, jobs


@hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="config")
def _launch(composed: DictConfig) -> None:
    exit_codes.leave_on_error(lambda: _run(composed), keep_going=HydraConfig.get().mode is RunMode.MULTIRUN)


def _run(composed: DictConfig) -> None:
    interruption.handle_signals()
    config = settings_of(composed)  # before torch is imported: a wrong setting is refused at once
    from infer.pipeline.run import run

    run(config)


def main() -> None:
    """Entry of ``launch.py`` and of the installed command."""
    sys.argv[1:] = sorted(sys.argv[1:], key=lambda word: word not in ("-m", "--multirun"))  # wherever they were typed
    jobs.register()
    sys.exit(callback.exit_code_after(exit_codes.exit_code_of(_answer)))


def _answer() -> None:
    """Print the help, or launch what was typed."""
    register_all()
    if help.is_asked(sys.argv[1:]):
        print(help.text(conf_folder(), sys.argv[1:]))
    else:
        _launch()
