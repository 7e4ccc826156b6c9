"""Registration of the dataclasses with Hydra, and conversion of its config into them."""

from dataclasses import fields, is_dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

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
    store = ConfigStore.instance()
    store.store(group="schema", name="config", node=Config, package="_global_")
    for group, schemas in _SCHEMAS.items():
        for name, node in schemas.items():
            store.store(group=f"schema/{group}", name=name, node=node)
    register_sections()


def resolve(composed: DictConfig) -> Config:
    """Hydra's composed config as a checked ``Config``; nothing after this sees a DictConfig.

    Raises UsageError, one line, for keys that are missing or unknown and for values out of range.
    """
    missing = sorted(OmegaConf.missing_keys(composed))
    if missing:
        raise UsageError(f"{', '.join(missing)} must be given. Type: {' '.join(f'{key}=<value>' for key in missing)}")
    _refuse_unknown(composed)
    config = OmegaConf.to_object(composed)
    assert isinstance(config, Config), "conf/config.yaml begins with its schema"
    return config


def as_plain(config: Config) -> dict[str, Any]:
    """``config`` as JSON-ready dictionaries, enums as their names."""
    plain: dict[str, Any] = OmegaConf.to_container(OmegaConf.structured(config), enum_to_str=True)  # type: ignore[assignment] # a dataclass becomes a dictionary
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
