"""Other people's checkpoints: published names give published outputs, and what does not fit is said in one line."""

import argparse
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from test_checkpoint_names import PUBLISHED
from test_cifar_teachers import Weights, efficientnet_b0, mobilenetv2, resnet18, shufflenet_g2
from torch import Tensor, nn
from torch.nn import functional as F

from infer.errors import UsageError
from infer.models import build
from infer.models.checkpoints import fitted_weights, read_weights

State = dict[str, Tensor]
WIDTH_8 = "resnet8_w8"


def drawn(entries) -> State:
    """Values for published names and shapes, such that an image makes a difference to the logits."""
    state = {}
    for name, shape in entries:
        kind = name.rpartition(".")[2]
        if kind == "num_batches_tracked":
            state[name] = torch.tensor(7)
        elif kind == "running_var":
            state[name] = torch.rand(shape) + 0.5
        elif len(shape) > 1:
            state[name] = torch.randn(shape) * (2 / torch.Size(shape[1:]).numel()) ** 0.5
        else:
            state[name] = torch.rand(shape) + 0.5 if kind == "weight" else 0.1 * torch.randn(shape)
    return state


def loaded(path: Path, arch: str, classes: int = 10, size: int = 32) -> nn.Module:
    network = build(arch, classes, size)
    network.load_state_dict(fitted_weights(network.state_dict(), read_weights(path), str(path)))
    return network.eval()


def small_state() -> State:
    return build(WIDTH_8, 10, 8).state_dict()


@pytest.mark.parametrize("forward", [resnet18, mobilenetv2, efficientnet_b0, shufflenet_g2])
def test_a_published_file_computes_what_the_published_network_computes(
    tmp_path: Path, forward: Callable[[Weights, Tensor], Tensor]
) -> None:
    arch = forward.__name__
    state = drawn(PUBLISHED[arch][0](100))
    path = tmp_path / "ckpt.pth"
    torch.save(
        {"state_dict": {f"module.{name}": value for name, value in state.items()}, "acc": 76.1, "epoch": 199}, path
    )
    network = loaded(path, arch, classes=100).double()
    images = torch.randn(3, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        logits = network(images)
        expected = forward(Weights({name: value.double() for name, value in state.items()}), images)
    assert (logits.std(0) > 1e-3).all(), "the logits hardly depend on the image: the comparison would show nothing"
    torch.testing.assert_close(logits, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"net": state, "acc": 90.0, "epoch": 3},
        lambda state: {
            "model": state,
            "args": argparse.Namespace(lr=0.1),
            "optimizer": {"state": {}, "param_groups": []},
        },
        lambda state: {"state_dict": {f"module.{name}": v for name, v in state.items()}, "best_acc1": np.float64(78.7)},
        lambda state: {"state_dict": {f"_orig_mod.module.{name}": v for name, v in state.items()}},
        lambda state: {name: value for name, value in state.items() if "num_batches_tracked" not in name},
    ],
    ids=["bare", "net", "torchvision references", "data parallel", "compiled", "old"],
)
def test_every_published_wrapping_is_read(tmp_path: Path, wrap: Callable[[State], dict]) -> None:
    state = small_state()
    torch.save(wrap(state), tmp_path / "c.pth")
    found = loaded(tmp_path / "c.pth", WIDTH_8, size=8).state_dict()
    assert all(torch.equal(found[name], value) for name, value in state.items())


def test_safetensors_are_read(tmp_path: Path) -> None:
    state = small_state()
    save_file(state, tmp_path / "c.safetensors")
    assert torch.equal(loaded(tmp_path / "c.safetensors", WIDTH_8, size=8).fc.weight, state["fc.weight"])


def test_kuangliu_names_fit_the_cifar_resnet(tmp_path: Path) -> None:
    state = build("resnet18", 10, 32).state_dict()
    renamed = {n.replace("downsample", "shortcut").replace("fc.", "linear."): v for n, v in state.items()}
    assert renamed.keys() != state.keys()
    torch.save(renamed, tmp_path / "c.pth")
    found = loaded(tmp_path / "c.pth", "resnet18").state_dict()
    assert all(torch.equal(found[name], value) for name, value in state.items())


def rded_convnet(depth: int, width: int, classes: int, size: int, norm: bool = True) -> State:
    """A checkpoint of RDED's ConvNet: its layers lie in one list for each kind."""
    layers: dict[str, list[nn.Module]] = {"conv": [], "norm": [], "act": [], "pool": []}
    for block in range(depth):
        layers["conv"].append(nn.Conv2d(3 if block == 0 else width, width, 3, padding=1))
        layers["norm"] += [nn.BatchNorm2d(width)] if norm else []
        layers["act"].append(nn.ReLU())
        layers["pool"].append(nn.AvgPool2d(2))
    network = nn.Module()
    network.layers = nn.ModuleDict({kind: nn.ModuleList(several) for kind, several in layers.items()})
    network.classifier = nn.Linear(width * (size // 2**depth) ** 2, classes)
    return drawn((name, tuple(value.shape)) for name, value in network.state_dict().items())


@pytest.mark.parametrize(("depth", "size"), [(3, 32), (4, 64), (6, 128)])
@pytest.mark.parametrize("norm", [True, False])
def test_the_layers_of_rded_s_convnet_are_put_in_a_row(tmp_path: Path, depth: int, size: int, norm: bool) -> None:
    state = rded_convnet(depth, 8, 100, size, norm)
    published = {f"layers.{kind}.{block}.weight" for kind in ("conv", "norm")[: 1 + norm] for block in range(depth)}
    assert {name for name in state if name.endswith(".weight")} == published | {"classifier.weight"}
    torch.save({"model": state, "epoch": 299}, tmp_path / "cifar100_conv3.pth")
    arch = f"convnet{depth}_w8_{'batchnorm' if norm else 'nonorm'}"
    network = loaded(tmp_path / "cifar100_conv3.pth", arch, classes=100, size=size).double()
    images = torch.randn(2, 3, size, size, dtype=torch.float64)
    expected, w = images, {name: value.double() for name, value in state.items()}
    for block in range(depth):
        expected = F.conv2d(expected, w[f"layers.conv.{block}.weight"], w[f"layers.conv.{block}.bias"], padding=1)
        if norm:
            running = (w[f"layers.norm.{block}.running_{kind}"] for kind in ("mean", "var"))
            expected = F.batch_norm(
                expected, *running, w[f"layers.norm.{block}.weight"], w[f"layers.norm.{block}.bias"]
            )
        expected = F.avg_pool2d(expected.relu(), 2)
    expected = F.linear(expected.flatten(1), w["classifier.weight"], w["classifier.bias"])
    with torch.no_grad():
        torch.testing.assert_close(network(images), expected, rtol=1e-9, atol=1e-9)


def test_rded_s_convnet_of_another_kind_is_told_by_its_own_names(tmp_path: Path) -> None:
    torch.save({"model": rded_convnet(3, 8, 10, 32)}, tmp_path / "c.pth")
    assert "layers.conv.0.weight is [8, 3, 3, 3] in the file and [16" in refusal(
        tmp_path / "c.pth", "convnet3_w16_batchnorm", size=32
    )
    told = refusal(tmp_path / "c.pth", "convnet3_w8_instancenorm", size=32)
    assert "the file's layers.norm.0.running_mean is not in the network" in told


def test_a_name_that_the_network_has_is_left_alone(tmp_path: Path) -> None:
    state = build("mobilenetv2", 10, 32).state_dict()
    assert "linear.weight" in state and any("shortcut" in name for name in state)
    assert fitted_weights(state, state, "x").keys() == state.keys()


def refusal(path: Path, arch: str = WIDTH_8, **options: int) -> str:
    with pytest.raises(UsageError) as caught:
        loaded(path, arch, **{"size": 8, **options})
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_another_number_of_classes_is_told_with_both_shapes(tmp_path: Path) -> None:
    torch.save(small_state(), tmp_path / "c.pth")
    told = refusal(tmp_path / "c.pth", classes=100)
    assert "fc.weight is [10, 32] in the file and [100, 32] in the network" in told
    assert "dataset=<one of 10 classes>" in told


def test_the_first_shape_that_differs_is_told(tmp_path: Path) -> None:
    torch.save(small_state(), tmp_path / "c.pth")
    told = refusal(tmp_path / "c.pth", "resnet8_w16")
    assert "conv1.weight is [8, 3, 3, 3] in the file and [16, 3, 3, 3] in the network" in told
    assert "teachers.archs" in told


def test_another_architecture_is_told_by_its_first_names(tmp_path: Path) -> None:
    torch.save(small_state(), tmp_path / "c.pth")
    told = refusal(tmp_path / "c.pth", "convnet3")
    assert "the network's features.0.weight is not in the file" in told and "the file's conv1.weight is not in" in told


@pytest.mark.parametrize("content", [{"epoch": 3}, [1, 2], {}], ids=str)
def test_a_file_without_weights_is_told_where_they_were_looked_for(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "c.pth")
    assert "under state_dict, model, net" in refusal(tmp_path / "c.pth")


class _Code:
    def __reduce__(self) -> tuple:
        return os.mkdir, (f"{os.environ['INFER_TEST_TRAP']}",)


@pytest.mark.parametrize(
    "content", [_Code(), nn.Linear(2, 2), {"state_dict": np.zeros(3)}], ids=["trap", "net", "array"]
)
def test_a_file_that_asks_for_code_is_refused_and_not_run(tmp_path: Path, monkeypatch, content: object) -> None:
    monkeypatch.setenv("INFER_TEST_TRAP", str(tmp_path / "sprung"))
    torch.save(content, tmp_path / "c.pth")
    told = refusal(tmp_path / "c.pth")
    assert "holds more than tensors: it asks for " in told and "weights_only=True" in told
    assert not (tmp_path / "sprung").exists()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.load(tmp_path / "c.pth", weights_only=False)
    assert (tmp_path / "sprung").exists() == isinstance(content, _Code), "the trap does not work"


@pytest.mark.parametrize("name", ["c.pth", "c.safetensors"])
@pytest.mark.parametrize("content", [b"", b"no weights at all", None], ids=["empty", "text", "missing"])
def test_a_damaged_or_missing_file_is_one_line(tmp_path: Path, name: str, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert str(tmp_path / name) in refusal(tmp_path / name)
