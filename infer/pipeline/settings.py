"""Settings of a run, checked as far as they can be before torch is imported."""

from omegaconf import DictConfig

from infer.config import Config, resolve
from infer.models import names


def settings_of(composed: DictConfig) -> Config:
    """Resolve Hydra's composed config and check the names of its architectures.

    Raises UsageError, one line, for a key, a value or an architecture that does not exist.
    """
    config = resolve(composed)
    for arch in (*config.teachers.archs, *config.teachers_that_label, *config.student.archs):
        names.check(arch)
    return config
