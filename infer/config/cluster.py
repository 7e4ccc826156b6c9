"""Where a sweep's jobs run: one after another here, in several processes here, or on a SLURM cluster."""

from dataclasses import dataclass

from infer.config.checks import require_at_least


@dataclass
class ClusterConfig:
    """One job after the other in the process that was typed."""

    name: str = "local"


@dataclass
class JoblibCluster(ClusterConfig):
    """Several processes on this machine, each with its share of the cores or a GPU of its own."""

    name: str = "joblib"
    processes: int = 2

    def __post_init__(self) -> None:
        require_at_least(1, "cluster.processes", self.processes)


@dataclass
class SlurmCluster(ClusterConfig):
    """One element of a SLURM array per job."""

    name: str = "slurm"
