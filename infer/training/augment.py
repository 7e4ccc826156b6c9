"""Random crops and flips of a whole batch at once: a gather from padded images, or one step of resampling."""

import torch
from torch import Tensor
from torch.nn.functional import grid_sample


def pad_with_black(pixels: Tensor, black: Tensor, padding: int) -> Tensor:
    """``pixels`` [N, 3, H, W] with a border of ``padding`` black pixels, as [N, H + 2·padding, W + 2·padding, 3].

    ``black`` [3] is `Images.black`, since zero is the mean colour of normalised images.
    """
    count, channels, height, width = pixels.shape
    shape = (count, height + 2 * padding, width + 2 * padding, channels)
    canvas = black.to(pixels.dtype).expand(shape).contiguous()
    canvas[:, padding : padding + height, padding : padding + width] = pixels.permute(0, 2, 3, 1)
    return canvas


def crop_and_flip(
    canvas: Tensor,
    index: Tensor,
    top: Tensor,
    left: Tensor,
    flip: Tensor,
    size: tuple[int, int],
    lines: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Crops of ``size`` (H, W) from images ``index`` of ``canvas``, mirrored left to right where ``flip`` is true.

    ``index``, ``top`` and ``left`` (the crop's corner in the padded image) and ``flip`` have shape [B]. ``lines``, the
    order of rows and of columns from `shuffled_lines`, is applied to the canvas before the crop. The result is
    [B, 3, H, W] in the channels_last layout and has the dtype of the canvas.
    """
    rows = torch.arange(size[0], device=canvas.device) + top[:, None]
    columns = torch.arange(size[1], device=canvas.device)
    columns = torch.where(flip[:, None], columns.flip(0), columns) + left[:, None]
    if lines is not None:
        rows, columns = lines[0].gather(1, rows), lines[1].gather(1, columns)
    return pick(canvas, index, rows, columns)


def pick(canvas: Tensor, index: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The pixels in ``rows[b]`` and ``columns[b]`` of image ``index[b]`` of ``canvas`` [N, H', W', 3].

    ``rows`` is int64 [B, H], ``columns`` int64 [B, W]; the result is [B, 3, H, W] in the channels_last layout.
    """
    _, canvas_height, canvas_width, channels = canvas.shape
    rows = rows + (index * canvas_height)[:, None]
    pixels = rows[:, :, None] * canvas_width + columns[:, None, :]
    crops = canvas.view(-1, channels).index_select(0, pixels.view(-1))
    return crops.view(*pixels.shape, channels).permute(0, 3, 1, 2)


def shuffled_lines(patches: Tensor, length: int, padding: int) -> Tensor:
    """Order of the rows (or columns) of padded images whose n patches along that axis are ordered as ``patches`` says.

    ``patches`` is int64 [B, n]; ``length``, that of the image without its border, is a multiple of n. The result is
    int64 [B, length + 2·padding]; the border keeps its place.
    """
    size = length // patches.shape[1]
    lines = torch.arange(length + 2 * padding, device=patches.device).repeat(len(patches), 1)
    within = torch.arange(size, device=patches.device)
    lines[:, padding : padding + length] = padding + (patches[:, :, None] * size + within).flatten(1)
    return lines


def resized_crop_and_flip(
    images: Tensor, top: Tensor, left: Tensor, height: Tensor, width: Tensor, flip: Tensor
) -> Tensor:
    """Boxes of ``images`` (float [B, 3, H, W]) enlarged to [B, 3, H, W], mirrored left to right where ``flip`` is true.

    The interpolation is bilinear with align_corners=False and uses no pixels outside of a box, as torchvision's
    ``resized_crop`` of each image. Boxes are given as int64 [B] each and lie inside the images. The result is
    channels_last.
    """
    rows = _sampled(top, height, images.shape[2])
    columns = _sampled(left, width, images.shape[3])
    columns = torch.where(flip[:, None], columns.flip(1), columns)
    grid = torch.stack(torch.broadcast_tensors(columns[:, None, :], rows[:, :, None]), dim=-1)
    crops = grid_sample(images, grid.to(images.dtype), mode="bilinear", padding_mode="border", align_corners=False)
    return crops.contiguous(memory_format=torch.channels_last)


def _sampled(start: Tensor, extent: Tensor, length: int) -> Tensor:
    """Sampling positions [B, length] that enlarge ``extent`` pixels from ``start`` on to ``length`` pixels.

    Positions are those of ``grid_sample``, from -1 to 1 over the whole image.
    """
    middles = (torch.arange(length, device=start.device, dtype=torch.float32) + 0.5) * (extent / length)[:, None] - 0.5
    within = torch.minimum(middles.clamp(min=0), (extent - 1)[:, None])
    return (2 * (within + start[:, None]) + 1) / length - 1
