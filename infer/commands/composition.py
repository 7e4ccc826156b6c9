"""The settings that two command lines add up to, composed as a run composes them but without running anything."""

import shlex
from collections.abc import Sequence

from hydra import compose, initialize_config_dir
from omegaconf import open_dict

from infer.config import Config, as_plain
from infer.config.presets import conf_folder
from infer.errors import UsageError
from infer.explanations import FOREIGN, explain
from infer.methods.registry import register_all
from infer.pipeline.settings import settings_of
from infer.records.settings import Settings, resolved, typed_keys
from infer.words import with_home_quoted


def settings_of_line(line: str) -> tuple[Settings, Config]:
    """The settings of ``python launch.py <line>``; raises UsageError as launch.py itself does."""
    try:
        words = shlex.split(line)
    except ValueError as error:  # a quote that is not closed
        raise UsageError(f"{line!r}: {error}. Quote each setting as for a shell") from error
    return settings_of_words(words)


def settings_of_words(words: Sequence[str]) -> tuple[Settings, Config]:
    """The settings of ``launch.py`` with ``words``; raises UsageError as launch.py itself does."""
    register_all()
    overrides = with_home_quoted(words)
    try:
        with initialize_config_dir(config_dir=str(conf_folder()), version_base="1.3"):
            composed = compose("config", overrides=overrides, return_hydra_config=True)
        choices = {k: v for k, v in composed.hydra.runtime.choices.items() if not k.startswith("hydra/")}
        with open_dict(composed):
            del composed["hydra"]
        config = settings_of(composed)
    except FOREIGN as error:
        raise UsageError(f"{shlex.join(words)!r}: {explain(error)}") from error
    return Settings(resolved(as_plain(config), config.K), choices, typed_keys(overrides)), config
