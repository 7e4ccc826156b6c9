"""Presets of a data set and of a protocol, exactly as the READMEs write them down, from a folder of one's own."""

import re
import shlex
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

ROOT = Path(__file__).resolve().parents[2]


def _composed(launch_in, tmp_path: Path, page: str, title: str, file: str) -> DictConfig:
    """Output of a section's command with ``--cfg job``, where the section's preset lies in ``conf/<file>``."""
    section = (ROOT / page).read_text().partition(f"# {title}\n")[2]
    preset = re.search(r"```yaml\n(.*?)```", section, re.DOTALL)
    command = re.search(r"```sh\npython launch.py (.*?)\n```", section)
    assert preset and command
    (tmp_path / "conf" / file).parent.mkdir(parents=True)
    (tmp_path / "conf" / file).write_text(preset[1])
    finished = launch_in(tmp_path, *shlex.split(command[1]), "--cfg", "job")
    assert finished.returncode == 0, finished.stderr
    composed = OmegaConf.create(finished.stdout)
    assert isinstance(composed, DictConfig)
    return composed


def test_a_data_set(launch_in, tmp_path) -> None:
    page = "infer/data/README.md"
    settings = _composed(launch_in, tmp_path, page, "Adding a data set", "dataset/birds.yaml")
    assert settings.dataset.name == "birds" and settings.dataset.resize == 32
    assert settings.evaluate.protocol == "infer_static" and "mobilenetv2" in settings.teachers.archs


def test_a_protocol(launch_in, tmp_path) -> None:
    page = "infer/evaluation/README.md"
    settings = _composed(launch_in, tmp_path, page, "Adding a protocol", "evaluate/half_length.yaml").evaluate
    assert (settings.protocol, settings.epochs, settings.batch_size) == ("half_length", 200, 64)
    assert settings.published_with == "static"
