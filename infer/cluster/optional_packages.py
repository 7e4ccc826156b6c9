"""Extras of the package that install Hydra's launchers."""

import importlib.util

from infer.errors import UsageError

EXTRA_OF_LAUNCHER = {"submitit_slurm": "slurm", "joblib": "joblib"}
"""Name of an extra in pyproject.toml and of an option of ``cluster``, by option of Hydra's group ``hydra/launcher``."""
_PLUGIN = {"slurm": "hydra_submitit_launcher", "joblib": "hydra_joblib_launcher"}


def require_extra(name: str) -> None:
    """Raise UsageError unless the launcher for ``cluster=<name>`` is installed."""
    if importlib.util.find_spec("hydra_plugins") and importlib.util.find_spec(f"hydra_plugins.{_PLUGIN[name]}"):
        return
    raise UsageError(missing(name))


def missing(name: str) -> str:
    """The error message for ``cluster=<name>`` where its extra is not installed."""
    return f'cluster={name} needs a package that is not installed. Type: pip install -e ".[{name}]"'
