"""The command line: Hydra composes the config, the pipeline runs it, and whatever goes wrong ends in one line."""

import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig

from infer import door
from infer.config import register


def _conf_folder() -> str:
    """The checkout's ``conf/`` where there is one, else the copy inside the installed package."""
    package = Path(__file__).resolve().parent
    checkout = package.parent / "conf"
    return str(checkout if (checkout / "config.yaml").is_file() else package / "conf")


@hydra.main(version_base="1.3", config_path=_conf_folder(), config_name="config")
def _launch(composed: DictConfig) -> None:
    from infer import pipeline  # imports torch, which --help and --cfg must not

    door.leave_on_error(lambda: pipeline.run(composed))


def main() -> None:
    """Entry of ``launch.py`` and of the installed command."""
    register()
    sys.exit(door.exit_code_of(_launch))
