"""Names of protocols: a star is added where a run's settings differ from the preset that gave the protocol its name."""

from contextlib import nullcontext
from dataclasses import fields, replace
from functools import cache
from typing import Any

from omegaconf import DictConfig, OmegaConf

from infer.config.evaluate import EvaluateConfig, StudentPrecision
from infer.config.labeling import LabelMode
from infer.config.presets import conf_folder
from infer.config.registry import as_plain
from infer.config.root import Config, Precision

_NOT_OF_PROTOCOL = ("repeats", "split", "val_fraction", "test_every", "reported")
"""Settings of how often and on which images scores are measured, which are not compared with the preset. The setting
``reported`` has a suffix of its own in the name, ``@best``."""
_ITS_NAME = ("protocol", "published_with")


def protocol_name(config: Config, mode: LabelMode, is_overridden: bool = False) -> str:
    """The protocol's name as shown beside scores of students with labels of ``mode``.

    It ends in a star where a setting differs from the preset, whichever file or word changed it, where a sweep
    determines the length of training, and where the labels replace settings (``is_overridden``).
    """
    changed = is_overridden or config.sweep.student_steps is not None or bool(changed_settings(config))
    return config.protocol_name_with(mode) + ("*" if changed else "")


def changed_settings(config: Config) -> list[str]:
    """Names of the protocol's settings that differ from the preset of the same name.

    Where there is no such preset, the result is ``["protocol"]``.
    """
    preset = _preset(config)
    if preset is None:
        return ["protocol"]
    given, published = _settings(_in_precision_of(config)), _settings(preset)
    return [name for name, value in given.items() if value != published[name]]


def protocol_settings(config: Config) -> dict[str, Any]:
    """The protocol's settings without its name, for a hash.

    Settings at their defaults are left out, so that the hash does not change when settings are added to the program.
    """
    given = _settings(_in_precision_of(config))
    defaults = {field.name: field.default for field in fields(EvaluateConfig)}
    used = {name: value for name, value in given.items() if value not in (defaults[name], {})}
    return {name: value for name, value in used.items() if name not in _ITS_NAME}


def _settings(protocol: EvaluateConfig) -> dict[str, Any]:
    return {name: value for name, value in vars(protocol).items() if name not in _NOT_OF_PROTOCOL}


def _in_precision_of(config: Config) -> EvaluateConfig:
    """The protocol, with its precision replaced by the top-level ``precision`` where that takes precedence."""
    if config.evaluate.precision is None or config.precision is Precision.auto:
        return config.evaluate
    return replace(config.evaluate, precision=StudentPrecision(config.precision.value))


def _preset(config: Config) -> EvaluateConfig | None:
    """The preset that the protocol is named after, resolved as in a run of ``config``; None where there is none.

    Its file has the protocol's name or, for a protocol that serves any labels, the name without the labels.
    """
    name = config.evaluate.protocol
    for option in (name, name.removesuffix(f"_{config.labeling.mode}")):
        composed = _composed(option)
        if composed is not None:
            run = OmegaConf.create(as_plain(config) | {"evaluate": composed})  # so that interpolations resolve
            preset = OmegaConf.to_object(run.evaluate)
            if isinstance(preset, EvaluateConfig) and preset.protocol == name:
                return preset
    return None


@cache
def _composed(option: str) -> DictConfig | None:
    """The ``option`` of the config group ``evaluate``, composed alone; None where there is no such option."""
    from hydra import compose, initialize_config_dir  # takes half a second to import
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException

    in_use = GlobalHydra.instance().is_initialized()  # if so, Hydra also searches the folder given by --config-dir
    with nullcontext() if in_use else initialize_config_dir(str(conf_folder()), version_base="1.3"):
        try:
            found: DictConfig | None = compose(overrides=[f"+evaluate={option}"]).get("evaluate")
        except HydraException:
            return None
    return found
