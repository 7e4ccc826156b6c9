"""Weights by the name that a library gives them: out of its own cache, or one line says what to do instead."""

from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from torchvision import models

from infer.errors import UsageError
from infer.models.pretrained import weights_for

ARCH = "torchvision/shufflenet_v2_x0_5"
WEIGHTS = models.ShuffleNet_V2_X0_5_Weights.IMAGENET1K_V1


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of torch's hub, and no network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def refuse(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr("torch.hub.urlopen", refuse)
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    return tmp_path / "hub" / "checkpoints"


@pytest.mark.parametrize("given", ["IMAGENET1K_V1", "DEFAULT"])
def test_torchvisions_weights_come_out_of_its_cache(hub: Path, given: str) -> None:
    state = models.get_model("shufflenet_v2_x0_5", weights=None).state_dict()
    torch.save(state, hub / Path(WEIGHTS.url).name)
    found = weights_for(ARCH, given).read()
    assert found.keys() == state.keys() and all(torch.equal(found[name], state[name]) for name in state)


def test_without_a_network_the_line_says_where_to_put_the_file(hub: Path) -> None:
    with pytest.raises(UsageError) as caught:
        weights_for(ARCH, "IMAGENET1K_V1").read()
    told = str(caught.value)
    assert WEIGHTS.url in told and str(hub / Path(WEIGHTS.url).name) in told and "\n" not in told


def test_a_default_is_the_weights_it_stands_for() -> None:
    assert weights_for(ARCH, "DEFAULT").identity == weights_for(ARCH, "IMAGENET1K_V1").identity
    assert weights_for("timm/resnet18", "DEFAULT").identity == weights_for("timm/resnet18", "a1_in1k").identity
    assert weights_for("timm/resnet18", "a1_in1k").identity != weights_for("timm/resnet18", "tv_in1k").identity


@pytest.mark.parametrize(
    ("arch", "given", "told"),
    [
        (ARCH, "IMAGENET1K_V9", "there are IMAGENET1K_V1"),
        ("timm/resnet18", "a9_in1k", "a1_in1k, a2_in1k"),
        (ARCH, "weights/ckpt.pth", "names no file"),
        ("resnet18", "DEFAULT", "names no file"),
    ],
)
def test_what_is_neither_a_file_nor_a_name_is_one_line(arch: str, given: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        weights_for(arch, given)
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_is_known_by_its_content(tmp_path: Path) -> None:
    for name, content in (("a.pth", b"1"), ("b.pth", b"1"), ("c.pth", b"2")):
        (tmp_path / name).write_bytes(content)
    a, b, c = (weights_for("resnet18", str(tmp_path / name)).identity for name in ("a.pth", "b.pth", "c.pth"))
    assert a == b != c
