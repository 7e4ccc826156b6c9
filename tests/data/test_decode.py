"""Single image files of every kind."""

import numpy as np
import pytest
from PIL import Image

from infer.data.decode import decode_image
from infer.data.measure import channel_statistics


@pytest.fixture
def decoded(tmp_path):
    def decode(image: Image.Image, ending: str = "png", **saving: object):
        image.save(tmp_path / f"image.{ending}", **saving)
        return decode_image(tmp_path / f"image.{ending}", None)

    return decode


@pytest.mark.parametrize(
    ("mode", "ending", "kind"),
    [
        ("RGB", "png", None),
        ("L", "png", "grey"),
        ("1", "png", "grey"),
        ("LA", "png", "grey"),
        ("P", "png", "palette"),
        ("RGBA", "png", "RGBA"),
        ("CMYK", "jpg", "CMYK"),
        ("LAB", "tiff", "LAB"),
    ],
)
def test_every_kind_becomes_rgb(decoded, mode, ending, kind):
    image = decoded(Image.new(mode, (5, 3)), ending)
    assert image.pixels.shape == (3, 5, 3) and image.pixels.dtype == np.uint8
    assert image.kind == kind


def test_colours_survive_a_palette_with_transparency(decoded):
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putdata([0, 1])
    image = decoded(palette, transparency=bytes([0, 128]))
    assert image.pixels.tolist() == [[[255, 0, 0], [0, 0, 255]]]


def test_sixteen_bit_grey_is_scaled(decoded):
    image = decoded(Image.fromarray(np.array([[0, 257, 65535]], dtype=np.uint16)))
    assert image.pixels[0, :, 0].tolist() == [0, 1, 255] and image.kind == "grey"


def test_statistics_of_many_images_are_those_of_all_their_pixels():
    torch = pytest.importorskip("torch")
    images = torch.randint(0, 256, (2500, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    mean, std = channel_statistics(images)
    pixels = images.double().div(255).transpose(0, 1).flatten(1)
    assert mean == pytest.approx(pixels.mean(1).tolist(), abs=1e-6)
    assert std == pytest.approx(pixels.std(1, correction=0).tolist(), abs=1e-6)
