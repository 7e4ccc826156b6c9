"""A tiny network and a tiny set of images that it can learn."""

import pytest
import torch
from torch import nn

from infer.normalisation import Normalisation
from infer.training.images import LabelledImages


class TinyNet(nn.Module):
    """Convolution, batch norm and dropout: everything whose state or randomness training has to keep."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(8, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.depthwise(self.norm(self.conv(images)).relu()).mean(dim=(2, 3))
        return self.fc(self.dropout(features))


@pytest.fixture(autouse=True)
def one_thread():
    """Tensors as small as these are slower with several threads, above all on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def make_net():
    """Builds the same TinyNet at every call."""

    def make(classes: int = 3) -> TinyNet:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return TinyNet(classes)

    return make


@pytest.fixture
def separable():
    """``separable(n)``: n noisy 8x8 images of three classes, each class with a colour of its own."""

    def make(count: int, seed: int = 0) -> LabelledImages:
        rng = torch.Generator().manual_seed(seed)
        targets = torch.arange(count) % 3
        pixels = torch.randint(0, 100, (count, 3, 8, 8), generator=rng, dtype=torch.uint8)
        pixels[torch.arange(count), targets] += 90
        return LabelledImages(pixels, Normalisation((0.45, 0.5, 0.55), (0.2, 0.25, 0.3)), targets)

    return make
