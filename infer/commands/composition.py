"""Settings of command lines, composed in the same way as for a run, without running anything."""

import shlex
from collections.abc import Sequence

from hydra import compose, initialize_config_dir
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict

from infer.config import Config, as_plain
from infer.config.presets import check_choices, check_own_presets, conf_folder, searched_folders
from infer.errors import UsageError
from infer.explanations import FOREIGN, explain
from infer.methods.registry import register_all
from infer.pipeline.settings import settings_of
from infer.records.settings import Settings, resolved, typed_keys
from infer.words import shell_line, with_home_quoted


def settings_of_line(line: str, of_one_run: bool = False) -> tuple[Settings, Config]:
    """The settings of ``python launch.py <line>``. Raises UsageError as launch.py itself does.

    With ``of_one_run``, it is also raised for the words of a sweep, since each of its jobs has other settings.
    """
    try:
        words = shlex.split(line)
    except ValueError as error:  # a quote that is not closed
        raise UsageError(f"{line!r}: {error}. Quote each setting as for a shell") from error
    return settings_of_words(words, of_one_run)


def settings_of_words(words: Sequence[str], of_one_run: bool = False) -> tuple[Settings, Config]:
    """The settings of ``launch.py`` with ``words``. Raises UsageError as ``settings_of_line`` does."""
    register_all()
    overrides = with_home_quoted(words)
    check_choices(overrides)
    try:
        for folder in searched_folders(overrides):
            check_own_presets(folder)
        with initialize_config_dir(config_dir=str(conf_folder()), version_base="1.3"):
            composed = compose("config", overrides=overrides, return_hydra_config=True)
        if of_one_run and composed.hydra.mode is RunMode.MULTIRUN:
            _refuse_sweep(composed)
        choices = {k: v for k, v in composed.hydra.runtime.choices.items() if not k.startswith("hydra/")}
        with open_dict(composed):
            del composed["hydra"]
        config = settings_of(composed)
    except FOREIGN as error:
        raise UsageError(f"{shlex.join(words)!r}: {explain(error)}") from error
    return Settings(resolved(as_plain(config), config.K), choices, typed_keys(overrides)), config


def _refuse_sweep(composed: DictConfig) -> None:
    """Raise UsageError, with the words to type for a single run in place of a sweep."""
    swept = [f"{key}={values}" for key, values in (composed.hydra.sweeper.params or {}).items()]
    typed = shell_line([word for word in composed.hydra.overrides.task if word.startswith("sweep=")])
    instead = f" In place of {typed or 'the preset'} type one value of each: {shell_line(swept)}" if swept else ""
    raise UsageError(f"{typed or 'hydra.mode=MULTIRUN'} makes a sweep of several runs, and one run is wanted.{instead}")
