"""Hydra without what it does anew for every composition of a process; what it composes is the same."""

import copy
from collections.abc import Callable
from typing import Any

from hydra._internal import defaults_list
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.default_element import ResultDefault
from omegaconf import DictConfig, OmegaConf

from infer.config.presets import conf_folder

_MOST_KEPT = 64
_SHIPPED = {str(conf_folder()), "hydra.conf", ""}
"""Places of the files and dataclasses that do not change while tests run."""

Compose = Callable[[Any, list[ResultDefault], Any], DictConfig]
_interpolation_map = defaults_list._create_interpolation_map


def compose_quickly() -> None:
    """Patch Hydra in this process, in which tests compose a thousand times; programs that they launch have it as it is.

    The same choices in all groups lead to the same settings, to which values from the command line are then applied.
    """
    defaults_list._create_interpolation_map = _map_where_one_is_used
    merged = _merging_once(ConfigLoaderImpl._compose_config_from_defaults_list)
    ConfigLoaderImpl._compose_config_from_defaults_list = merged  # type: ignore[method-assign]


def _map_where_one_is_used(overrides: Any, found: list[Any], self_added: bool) -> DictConfig:
    """Choices for the interpolations of a defaults list, which few have."""
    if any(default.is_interpolation() for default in found):
        return _interpolation_map(overrides, found, self_added)
    return OmegaConf.create()


def _merging_once(merge: Compose) -> Compose:
    """``merge`` that keeps what it made of shipped files, of which every composition gets a copy of its own."""
    kept: dict[str, DictConfig] = {}

    def merged(loader: Any, defaults: list[ResultDefault], repo: Any) -> DictConfig:
        if not {source.path for source in repo.get_sources()} <= _SHIPPED:
            return merge(loader, defaults, repo)
        choices = repr(defaults)
        if choices not in kept:
            if len(kept) == _MOST_KEPT:
                del kept[next(iter(kept))]
            kept[choices] = merge(loader, defaults, repo)
        return copy.deepcopy(kept[choices])

    return merged
