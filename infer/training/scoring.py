"""Accuracy, predictions and logits of a network on many images."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from infer.environment import Precision
from infer.ranges import consecutive
from infer.ranks import ranks
from infer.training.execution import autocast, memory_format_of
from infer.training.images import Images, LabelledImages
from infer.training.memory import AsManyAsFit

_MOST_IMAGES = 256
_MOST_PIXELS = _MOST_IMAGES * 224**2
"""Largest number of images and of pixels in a batch whose size is not given. Larger batches are not faster, and can be
slower on a CPU, where the activations no longer fit into the caches: with 1,024 images of 32x32 pixels in a batch, an
image takes 1.45 times as long as with 256 in MobileNetV2, and 1.0 to 1.07 times as long in four other networks
(``tests/benchmarks/together.py``)."""


@dataclass(frozen=True)
class TestOutcome:
    """Scores and predictions of a network on N labelled images; tensors are on the CPU."""

    scores: dict[str, float]
    """``top1`` and, with more than five classes, ``top5``: accuracies in percent."""
    targets: Tensor
    """int64 [N]: class of each image."""
    predicted: Tensor
    """int64 [N]: class with the largest logit."""
    confidence: Tensor
    """float32 [N]: softmax probability of the predicted class."""


def run_test(
    model: nn.Module,
    images: LabelledImages,
    device: torch.device | str = "cpu",
    precision: Precision = "fp32",
    batch_size: int | None = None,
    on_images: Callable[[int], None] | None = None,
) -> TestOutcome:
    """Classify ``images`` without augmentation; ``on_images`` is called after every batch with the number of images
    done."""
    hits, predicted, confidence = [], [], []
    with _evaluating(model):
        for rows, logits in _chunks(model, images, device, precision, batch_size, on_images):
            targets = images.targets[rows].to(device)
            ranked = logits.topk(5 if logits.shape[1] > 5 else 1).indices
            hits.append(ranked == targets[:, None])
            predicted.append(ranked[:, 0])
            confidence.append(logits.softmax(dim=1).amax(dim=1))
    within = _of_all_ranks(hits).sum(dim=0).cumsum(dim=0).tolist()
    scores = {"top1": 100 * within[0] / len(images)}
    if len(within) == 5:
        scores["top5"] = 100 * within[4] / len(images)
    of_images = _of_all_ranks(predicted).cpu(), _of_all_ranks(confidence).cpu()
    return TestOutcome(scores, images.targets.cpu(), *of_images)


def predict_logits(
    model: nn.Module,
    images: Images,
    device: torch.device | str = "cpu",
    precision: Precision = "fp32",
    batch_size: int | None = None,
    on_images: Callable[[int], None] | None = None,
) -> Tensor:
    """Logits of all images without augmentation: float32 [N, classes] on the CPU; ``on_images`` as in ``run_test``."""
    with _evaluating(model):
        chunks = _chunks(model, images, device, precision, batch_size, on_images)
        return _of_all_ranks([logits.cpu() for _, logits in chunks])


def images_together(pixels: int) -> int:
    """Default batch size for images of ``pixels`` pixels each."""
    return min(_MOST_IMAGES, _MOST_PIXELS // pixels) or 1


def _chunks(
    model: nn.Module,
    images: Images,
    device: torch.device | str,
    precision: Precision,
    batch_size: int | None,
    on_images: Callable[[int], None] | None,
) -> Iterator[tuple[slice, Tensor]]:
    """Slices of the images, and the float32 logits of each on ``device``.

    A slice holds ``batch_size`` images; None: ``images_together``. Where memory does not suffice, it passes in smaller
    parts, which gives the same logits since the network is in evaluation mode. With several ranks, each has its own
    slices, and ``on_images`` is called with a number for all ranks, as if they were equally fast.
    """
    layout = memory_format_of(model)
    batch_size = batch_size or images_together(images.pixels.shape[2:].numel())
    own = ranks.rows(len(images))
    parts = consecutive(own.stop - own.start, batch_size)
    chunks = [slice(own.start + part.start, own.start + part.stop) for part in parts]
    together = AsManyAsFit(min(batch_size, len(images)), "images")

    def classified(pixels: Tensor, at_once: int) -> Tensor:
        with autocast(device, precision):
            return torch.cat([model(images.normalised(part)).float() for part in pixels.split(at_once)])

    for rows, pixels in zip(chunks, images.chunks(chunks), strict=True):
        yield rows, together.run(partial(classified, pixels.to(device).contiguous(memory_format=layout)))
        if on_images:
            on_images(len(images) * (rows.stop - own.start) // (own.stop - own.start))


def _of_all_ranks(parts: list[Tensor]) -> Tensor:
    """The rows of all ``parts`` of all ranks, in order; with several ranks, on the CPU."""
    if ranks.count == 1:
        return torch.cat(parts)
    return torch.cat([part for of_rank in ranks.gathered([each.cpu() for each in parts]) for part in of_rank])


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Context in which ``model`` is in evaluation mode without gradients; its mode is restored afterwards."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)
