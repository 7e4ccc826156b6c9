"""Random crops and mirror images of a whole batch, cut out of padded images in one gather."""

import torch
from torch import Tensor

from infer.training.images import Images


def pad_with_black(images: Images, padding: int) -> Tensor:
    """All images with a border of ``padding`` black pixels, as [N, H + 2·padding, W + 2·padding, 3].

    Black is in the images' own units; zero would be the mean colour of a normalised image.
    """
    count, channels, height, width = images.pixels.shape
    shape = (count, height + 2 * padding, width + 2 * padding, channels)
    canvas = images.black.to(images.pixels.dtype).expand(shape).contiguous()
    canvas[:, padding : padding + height, padding : padding + width] = images.pixels.permute(0, 2, 3, 1)
    return canvas


def crop_and_flip(
    canvas: Tensor, index: Tensor, top: Tensor, left: Tensor, flip: Tensor, size: tuple[int, int]
) -> Tensor:
    """Crops of ``size`` (H, W) from images ``index`` of ``canvas``, mirrored left to right where ``flip``.

    ``index``, ``top`` and ``left`` (the crop's corner in the padded image) and ``flip`` have shape [B]. The
    result is [B, 3, H, W] in the channels_last layout, with the canvas's type.
    """
    _, canvas_height, canvas_width, channels = canvas.shape
    rows = torch.arange(size[0], device=canvas.device)
    columns = torch.arange(size[1], device=canvas.device)
    columns = torch.where(flip[:, None], columns.flip(0), columns) + left[:, None]
    rows = rows + (top + index * canvas_height)[:, None]
    pixels = rows[:, :, None] * canvas_width + columns[:, None, :]
    crops = canvas.view(-1, channels).index_select(0, pixels.view(-1))
    return crops.view(len(index), *size, channels).permute(0, 3, 1, 2)
