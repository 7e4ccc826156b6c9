"""The wheel carries the presets, the mark of a typed package and the licence, and nobody's own defaults."""

import zipfile
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).resolve().parents[1]


def test_the_wheel_holds_every_preset_and_no_user_file(tmp_path):
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path))
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    conf = ROOT / "conf"
    presets = {f"infer/conf/{path.relative_to(conf)}" for path in conf.rglob("*.yaml") if "user" not in path.parts}
    assert presets <= names
    assert not [name for name in names if "user/" in name]
    assert {"infer/cli.py", "infer/py.typed"} <= names
    assert any(name.endswith("dist-info/licenses/LICENSE") for name in names)
