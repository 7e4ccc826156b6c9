"""A method of another package, exactly as ``infer/methods/README.md`` writes it down, from its files to its scores."""

import json
import re
import shlex
from pathlib import Path

import pytest
import torch
from helpers.small_run import SMALL_RUN_OF_ANY_METHOD
from safetensors.torch import load_file

from infer.config.dataset import DigitsConfig
from infer.data import load

ROOT = Path(__file__).resolve().parents[2]
SECTION = (ROOT / "infer/methods/README.md").read_text().partition("## Adding a method")[2]
(CODE,) = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
(PRESET,) = re.findall(r"```yaml\n(.*?)```", SECTION, re.DOTALL)
(PROJECT,) = re.findall(r"```toml\n(.*?)```", SECTION, re.DOTALL)
(COMMAND,) = re.findall(r"```sh\npython launch.py (.*?)\n```", SECTION)


@pytest.fixture
def package(tmp_path) -> Path:
    """A folder of Python's path in which the package is installed, with ``conf/`` beside its one module."""
    header, entry = PROJECT.strip().split("\n")
    assert header == '[project.entry-points."infer.methods"]'
    installed = tmp_path / "brightest-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: brightest\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(f"[infer.methods]\n{entry.replace(chr(34), '')}\n")
    (tmp_path / "brightest.py").write_text(CODE)
    (tmp_path / "conf/method").mkdir(parents=True)
    (tmp_path / "conf/method/brightest.yaml").write_text(PRESET)
    return tmp_path


def launched(launch_in, package: Path, *words: str):
    return launch_in(package, *words, PYTHONPATH=f"{ROOT}:{package}")


def test_the_method_of_the_readme_runs_from_its_own_package(launch_in, package) -> None:
    stages = "stages=[squeeze,generate,relabel,evaluate]"  # pictures take longer than all of these
    words = (*shlex.split(COMMAND), *SMALL_RUN_OF_ANY_METHOD, "baselines=[random_hard]", stages)
    finished = launched(launch_in, package, *words)
    assert finished.returncode == 0, finished.stderr
    (run,) = (package / "outputs/runs").iterdir()
    result = json.loads((run / "result.json").read_text())
    assert result["choices"]["method"] == "brightest" and result["config"]["method"]["darkest"] is True
    assert result["metrics"]["test/top1"]["mean"] > 0 and set(result["baselines"]) == {"random_hard"}
    train = load(DigitsConfig(), cache_dir=package / "cache", threads=1).train
    images = load_file(run / "distilled/images.safetensors")
    for target in range(10):
        kept = images["images"][images["targets"] == target].float().mean((1, 2, 3))
        every = train.images[train.targets == target].float().mean((1, 2, 3))
        assert torch.equal(kept, every.sort().values[:3])


def test_its_settings_are_checked_as_our_own(launch_in, package) -> None:
    finished = launched(launch_in, package, "--config-dir=conf", "method=brightest", "method.darkes=true")
    assert finished.returncode == 2
    assert "method.darkes is not a setting" in finished.stderr and "method.darkest=<value>" in finished.stderr


def test_a_module_that_cannot_be_imported_is_named_in_one_line(launch_in, package) -> None:
    (package / "brightest.py").write_text("import nothing_of_that_name\n")
    finished = launched(launch_in, package, "--help")
    assert finished.returncode == 2
    (line,) = finished.stderr.splitlines()
    assert "package 'brightest'" in line and "nothing_of_that_name" in line and "pip uninstall brightest" in line


def test_nothing_of_ours_knows_the_method() -> None:
    ours = [*(ROOT / "infer").rglob("*.py"), *(ROOT / "conf").rglob("*.yaml"), ROOT / "pyproject.toml"]
    assert not [path for path in ours if "brightest" in path.read_text()]
