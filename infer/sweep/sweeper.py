"""Hydra's own sweeper, changed: settings that go together, explicit points, and combinations that are left out.

To be imported when Hydra has found its plugins, for which it makes all their classes anew.
"""

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper, BasicSweeperConf
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins

from infer.sweep.axes import combine, sweep_settings


class Sweeper(BasicSweeper):
    """Sweeper over the combinations of ``infer.sweep.axes``; without settings of ``sweep`` those of Hydra's."""

    def split_arguments(self, overrides: list[Override], max_batch_size: int | None) -> list[list[list[str]]]:  # type: ignore[override] # Hydra's is static, and called on the object
        """The words of every job, in batches."""
        assert self.config is not None
        jobs = combine(overrides, sweep_settings(self.config)).jobs
        return list(self.split_overrides_to_chunks(jobs, max_batch_size))


def use() -> None:
    """Have Hydra sweep with it where it would with its own.

    Hydra takes a plugin by name, and only of its own packages, so the name stays.
    """
    Plugins.instance().class_name_to_class[BasicSweeperConf._target_] = Sweeper
