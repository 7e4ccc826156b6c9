"""Fixtures that several folders of tests share."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from helpers.composing import compose_quickly
from helpers.launching import launch, launch_afresh
from helpers.small_run import SMALL_SET
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from omegaconf import DictConfig

from infer.config import Config
from infer.console import Console
from infer.context import Context
from infer.data import load
from infer.interruption import SIGNALS, interruption
from infer.methods.registry import register_all
from infer.pipeline.settings import settings_of
from infer.store import Store

ROOT = Path(__file__).resolve().parent.parent

os.environ["OMP_NUM_THREADS"] = "1"  # for processes that tests start
torch.set_num_threads(1)  # the tests' networks are so small that a second thread costs more than it brings
compose_quickly()


@pytest.fixture(scope="session", autouse=True)
def _caches_of_libraries(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the caches of libraries out of the home folder while tests run."""
    os.environ["MPLCONFIGDIR"] = str(tmp_path_factory.mktemp("matplotlib"))


@pytest.fixture(scope="session")
def compose() -> Callable[..., DictConfig]:
    """Composes the shipped configuration with overrides, as the command line does."""
    register_all()

    def compose_with(*overrides: str) -> DictConfig:
        with initialize_config_dir(config_dir=str(ROOT / "conf"), version_base="1.3"):
            return hydra_compose("config", overrides=list(overrides), return_hydra_config=False)

    return compose_with


@pytest.fixture(scope="session")
def resolved(compose: Callable[..., DictConfig]) -> Callable[..., Config]:
    """The checked settings that a command line adds up to."""
    return lambda *overrides: settings_of(compose(*overrides))


@pytest.fixture
def signals() -> Iterator[None]:
    """Signals end the work as in a run; pytest's own handlers come back afterwards."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    interruption.handle_signals()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def launch_in() -> Callable[..., subprocess.CompletedProcess]:
    """Types ``python launch.py ...`` in a folder, as a user does, with one thread.

    With variables of the environment, in a fresh interpreter.
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environment.pop("HYDRA_FULL_ERROR", None)

    def run(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess:
        return (launch_afresh if variables else launch)(folder, words, environment | variables)

    return run


@pytest.fixture(scope="session")
def make_context(tmp_path_factory, resolved) -> Callable[..., Context]:
    """A context for the given overrides; all of them share one store."""
    outputs: Path = tmp_path_factory.mktemp("outputs")

    def make(*overrides: str) -> Context:
        is_infer = not any(w.startswith("method=") for w in overrides)
        shortened = [w for w in SMALL_SET if is_infer or not w.startswith("method.")]
        config = resolved(*shortened, f"outputs={outputs}", *overrides)
        data = load(config.dataset, cache_dir=outputs / ".cache", threads=1)
        return Context(config, data, Store(outputs), torch.device("cpu"), "fp32", Console(), outputs)

    return make
