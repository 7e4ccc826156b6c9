"""Jobs of a command line in which settings have several values, and the names of their folders."""

import hashlib
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from infer.config.checks import require
from infer.records.names import OVERRIDES
from infer.sweep.axes import Combinations, combine, sweep_settings

_LONGEST_NAME = 80


def overrides_of(sweep: DictConfig, loader: ConfigLoader) -> list[Override]:
    """The overrides of a preset and then of the command line, in the form that Hydra's sweeper gets."""
    preset = sweep.hydra.sweeper.get("params") or {}
    words = [f"{key}={value}" for key, value in preset.items()] + list(sweep.hydra.overrides.task)
    return OverridesParser.create(config_loader=loader).parse_overrides(words)


def jobs_of(sweep: DictConfig, loader: ConfigLoader) -> Combinations:
    """The swept settings with their values as typed, and the words with which ``Sweeper`` launches every job."""
    return combine(overrides_of(sweep, loader), sweep_settings(sweep))


def job_folder(number: int, overrides: Sequence[str], swept: Collection[str]) -> str:
    """The name of a job's folder: its number and its swept settings, for example ``3-M=2,K=1``."""
    varying = [word for word in overrides if word.partition("=")[0] in swept]
    name = f"{number}-{','.join(varying)}" if varying else f"{number}"
    name = re.sub(r"[^\w.,=+@-]+", "_", re.sub(r"[\[\]{}'\"]", "", name))
    if len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: _LONGEST_NAME - 9]}-{digest}"


def set_in_name(method: str, ipc: int) -> str:
    """Method and budget for the name of a run's folder; an imported set has a given size, so it has no budget."""
    return method if method == "imported" else f"{method}-ipc{ipc}"


def on_each_node(count: int | None, nodes: int, of_each: int | None = 1) -> int | None:
    """``of_each`` times the number per machine of ``count`` things on ``nodes`` machines; None where either is None."""
    return None if of_each is None or count is None else count // nodes * of_each


def without_hydra(composed: DictConfig) -> DictConfig:
    """``composed`` itself, after Hydra's own settings are removed from it."""
    with read_write(composed), open_dict(composed):
        del composed["hydra"]
    return composed


def register() -> None:
    """Register the resolvers that the files in conf/ use."""
    OmegaConf.register_new_resolver("set_in_name", set_in_name, replace=True)
    OmegaConf.register_new_resolver("on_each_node", on_each_node, replace=True)
    OmegaConf.register_new_resolver("job_folder", job_folder, replace=True)


def require_words_kept(composed: DictConfig) -> None:
    """Raise UsageError where Hydra would write the words of a run to another folder than they are read from."""
    given, own = composed.hydra.output_subdir, Path(OVERRIDES).parent.name
    require(given in (None, own), "hydra.output_subdir", given, f"it is {own}, or null for none. Leave it out")
