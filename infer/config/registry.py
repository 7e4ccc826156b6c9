"""Registration of the dataclasses with Hydra, and conversion of its config into them."""

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
    """Make every dataclass known to Hydra as ``schema/<group>/<name>``, and each method's settings by family.

    The dataclasses of the methods are not among them: see ``infer.methods.registry.register_all``.
    """
    ConfigStore.__deepcopy__ = _itself  # type: ignore[attr-defined] # every composition copies it whole, a tenth of its time
    store = ConfigStore.instance()
    store.store(group="schema", name="config", node=Config, package="_global_")
    for group, schemas in _SCHEMAS.items():
        for name, node in schemas.items():
            store.store(group=f"schema/{group}", name=name, node=node)
    register_sections()


def _itself(store: ConfigStore, _: dict[int, Any]) -> ConfigStore:
    """There is one; what is loaded from it is copied."""
    return store


def resolve(composed: DictConfig) -> Config:
    """Hydra's composed config as a checked ``Config``; nothing after this sees a DictConfig.

    Raises UsageError, one line, for keys that are missing or unknown and for values out of range.
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
    """A method or a data set under the name of another would stand in tables as what it is not.

    Images of one's own may be called after a data set whose images they are.
    """
    store = ConfigStore.instance()
    for key, named in (("method", config.method), ("dataset", config.dataset)):
        group, file = f"schema/{key}", f"{named.name}.yaml"
        schema = OmegaConf.get_type(store.load(f"{group}/{file}").node) if file in store.list(group) else None
        if schema and not isinstance(named, (schema, FolderConfig)):
            typed = f"{key}={named.name}"
            raise UsageError(f"{key}.name={named.name} is the name of another {key}. Type {typed}, or another name")


def _place_dataset(composed: DictConfig) -> None:
    """Give a data set without a place of its own the one that ``dataset_roots`` has for its name."""
    dataset = composed.get("dataset")
    roots = composed.get("dataset_roots")
    if OmegaConf.is_missing(dataset, "root") and isinstance(roots, DictConfig) and (root := roots.get(dataset.name)):
        dataset.root = root


def _place_outputs(composed: DictConfig) -> None:
    """Replace ``$VARIABLES`` in ``outputs``; UsageError for one that is not set, unless a folder is called so."""
    typed = composed.outputs
    if not typed.strip():  # refused with its range
        return
    composed.outputs = expanded(typed)
    if (name := variable_not_set(typed)) and not Path(composed.outputs).exists():
        raise UsageError(f"outputs={typed}: the variable {name} is not set. Type export {name}=<folder>, or the folder")


def _clean(parent: DictConfig | ListConfig, key: Any, path: str) -> None:
    """Replace ``~`` at the beginning of a text, or of every text below ``key``, by the home folder.

    Raises UsageError where a number is not finite, which every comparison lets pass in one direction, and where a text
    or a key holds a control character: it may become a part of a path, of a line of a script, or of what is printed.
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
    """``config`` as JSON-ready dictionaries, enums as their names."""
    plain: dict[str, Any] = OmegaConf.to_container(OmegaConf.structured(config), enum_to_str=True)  # type: ignore[assignment] # a dataclass becomes a dictionary
    del plain["dataset_roots"]  # dataset.root says which of them counted
    return plain


def _refuse_unknown(composed: DictConfig, group: str = "") -> None:
    """``+key=value`` slips past Hydra's checks; a setting that nothing reads is an error."""
    schema = OmegaConf.get_type(composed)
    if not is_dataclass(schema):  # a dictionary, whose keys are free
        return
    allowed = {field.name for field in fields(schema)}
    for key, value in composed.items():
        if key not in allowed:
            raise UsageError(
                f"+{group}{key!s} was given, but there is no setting of that name. List them: python launch.py --help"
            )
        if isinstance(value, DictConfig):
            _refuse_unknown(value, f"{group}{key!s}.")
