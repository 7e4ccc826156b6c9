"""Registration of the settings dataclasses with Hydra, and conversion of Hydra's config into them."""

import math
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, ListConfig, OmegaConf

from infer.config.cluster import ClusterConfig, JoblibCluster, SlurmCluster
from infer.config.dataset import (
    Cifar10Config,
    Cifar100Config,
    DigitsConfig,
    FolderConfig,
    ImagenetConfig,
    TinyImagenetConfig,
)
from infer.config.evaluate import EvaluateConfig, StudentConfig
from infer.config.labeling import LabelingConfig
from infer.config.presets import register_sections
from infer.config.root import Config
from infer.config.teachers import TeachersConfig
from infer.config.tracker import TensorBoardTracker, TrackerConfig, WandbTracker
from infer.errors import UsageError
from infer.words import expanded, has_controls, variable_not_set, visible

_SCHEMAS: dict[str, dict[str, type]] = {
    "dataset": {
        "digits": DigitsConfig,
        "cifar10": Cifar10Config,
        "cifar100": Cifar100Config,
        "folder": FolderConfig,
        "imagenet": ImagenetConfig,
        "tinyimagenet": TinyImagenetConfig,
    },
    "teachers": {"teachers": TeachersConfig},
    "labeling": {"labeling": LabelingConfig},
    "student": {"student": StudentConfig},
    "evaluate": {"evaluate": EvaluateConfig},
    "cluster": {"local": ClusterConfig, "joblib": JoblibCluster, "slurm": SlurmCluster},
    "tracker": {"none": TrackerConfig, "wandb": WandbTracker, "tensorboard": TensorBoardTracker},
}


def register() -> None:
    """Register every dataclass with Hydra as ``schema/<group>/<name>``, and each method's settings by family.

    The dataclasses of the methods are registered by ``infer.methods.registry.register_all``.
    """
    ConfigStore.__deepcopy__ = _itself  # type: ignore[attr-defined]
    store = ConfigStore.instance()
    store.store(group="schema", name="config", node=Config, package="_global_")
    for group, schemas in _SCHEMAS.items():
        for name, node in schemas.items():
            store.store(group=f"schema/{group}", name=name, node=node)
    register_sections()


def _itself(store: ConfigStore, _: dict[int, Any]) -> ConfigStore:
    """The store itself in place of a copy, on which Hydra spends a tenth of the time of every composition.

    There is only one store, and Hydra copies what it loads from it.
    """
    return store


def resolve(composed: DictConfig) -> Config:
    """Convert Hydra's composed config into a checked ``Config``; no later code sees a DictConfig.

    Raises UsageError, whose message is one line, for missing or unknown keys and for values out of range.
    """
    _place_dataset(composed)
    missing = sorted(OmegaConf.missing_keys(composed))
    if missing:
        raise UsageError(f"{', '.join(missing)} must be given. Type: {' '.join(f'{key}=<value>' for key in missing)}")
    _refuse_unknown(composed)
    for key in composed:
        _clean(composed, key, str(key))
    _place_outputs(composed)
    config = OmegaConf.to_object(composed)
    assert isinstance(config, Config), "conf/config.yaml begins with its schema"
    _refuse_names_of_others(config)
    return config


def _refuse_names_of_others(config: Config) -> None:
    """Refuse a method or a data set with the name of another one, as which it would appear in tables.

    A ``folder`` may have the name of a data set, since it may hold images of that data set.
    """
    store = ConfigStore.instance()
    for key, named in (("method", config.method), ("dataset", config.dataset)):
        group, file = f"schema/{key}", f"{named.name}.yaml"
        schema = OmegaConf.get_type(store.load(f"{group}/{file}").node) if file in store.list(group) else None
        if schema and not isinstance(named, (schema, FolderConfig)):
            typed = f"{key}={named.name}"
            raise UsageError(f"{key}.name={named.name} is the name of another {key}. Type {typed}, or another name")


def _place_dataset(composed: DictConfig) -> None:
    """Set the ``root`` of a data set that has none to the folder that ``dataset_roots`` lists under its name."""
    dataset = composed.get("dataset")
    roots = composed.get("dataset_roots")
    if OmegaConf.is_missing(dataset, "root") and isinstance(roots, DictConfig) and (root := roots.get(dataset.name)):
        dataset.root = root


def _place_outputs(composed: DictConfig) -> None:
    """Replace ``$VARIABLES`` in ``outputs``.

    Raises UsageError for a variable that is not set, unless a folder of that very name exists.
    """
    typed = composed.outputs
    if not typed.strip():  # Config refuses it
        return
    composed.outputs = expanded(typed)
    if (name := variable_not_set(typed)) and not Path(composed.outputs).exists():
        raise UsageError(f"outputs={typed}: the variable {name} is not set. Type export {name}=<folder>, or the folder")


def _clean(parent: DictConfig | ListConfig, key: Any, path: str) -> None:
    """Replace ``~`` at the beginning of every string at or below ``key`` by the home folder.

    Raises UsageError for a number that is not finite, since range checks cannot be relied on to find it, and for a
    string or a key with a control character, since it may become part of a path, of a script or of a printed line.
    """
    if has_controls(str(key)):
        raise UsageError(f"the key {visible(path)} holds a control character. Type it without")
    value = parent[key]
    if isinstance(value, DictConfig):
        for each in value:
            _clean(value, each, f"{path}.{each!s}")
    elif isinstance(value, ListConfig):
        for each in range(len(value)):
            _clean(value, each, f"{path}[{each}]")
    elif isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{path}={value} is not possible: it must be a finite number")
    elif isinstance(value, str) and has_controls(value):
        raise UsageError(f"{path}={visible(value)} is not possible: it holds a control character. Give one plain line")
    elif isinstance(value, str) and value.startswith("~"):
        parent[key] = expanded(value)


def as_plain(config: Config) -> dict[str, Any]:
    """``config`` as JSON-ready dictionaries, with enum members replaced by their names."""
    plain: dict[str, Any] = OmegaConf.to_container(OmegaConf.structured(config), enum_to_str=True)  # type: ignore[assignment] # a dataclass becomes a dictionary
    del plain["dataset_roots"]  # dataset.root holds the one that was used
    return plain


def _refuse_unknown(composed: DictConfig, group: str = "") -> None:
    """Raise UsageError for keys that no dataclass has: ``+key=value`` adds them without a check by Hydra."""
    schema = OmegaConf.get_type(composed)
    if not is_dataclass(schema):  # a dictionary may have any keys
        return
    allowed = {field.name for field in fields(schema)}
    for key, value in composed.items():
        if key not in allowed:
            raise UsageError(
                f"+{group}{key!s} was given, but there is no setting of that name. List them: python launch.py --help"
            )
        if isinstance(value, DictConfig):
            _refuse_unknown(value, f"{group}{key!s}.")
