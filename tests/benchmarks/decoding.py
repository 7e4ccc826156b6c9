"""Decoding images while they are used, by threads, beside torch's DataLoader with as many worker processes.

Both bring the same JPEG files to the same uint8 squares: the DataLoader by torchvision's ImageFolder with Resize and
CenterCrop, batch by batch in a random order. All take turns, so that a busy machine slows all of them; worker
processes are started before the clock is.

    python tests/benchmarks/decoding.py --root <folder with one folder of images per class> [--workers 1 2 4]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import torch
from evaluation import hardware
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.transforms import InterpolationMode

from infer.data.decode import Resizing
from infer.data.files_on_demand import FilesOnDemand
from infer.training.prefetch import prefetched

RESIZING = Resizing(256, 224, InterpolationMode.BILINEAR)

Batches = Callable[[], Iterator[object]]


def on_demand(folder: ImageFolder, threads: int, batch_size: int) -> Batches:
    """This program's batches, made ahead as in training."""
    root = Path(folder.root)
    paths = [str(Path(path).relative_to(root)) for path, _ in folder.samples]
    images = FilesOnDemand(root, paths, RESIZING.size, RESIZING, threads)
    return lambda: prefetched(images.__getitem__, torch.randperm(len(images)).split(batch_size))


def data_loader(folder: ImageFolder, workers: int, batch_size: int) -> Batches:
    """torch's batches, from worker processes that stay."""
    loader = DataLoader(folder, batch_size, shuffle=True, num_workers=workers, persistent_workers=True)
    next(iter(loader))
    return lambda: iter(loader)


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Median images per second by reader and number of workers."""
    steps = [transforms.Resize(RESIZING.shorter), transforms.CenterCrop(RESIZING.size), transforms.PILToTensor()]
    folder = ImageFolder(options.root, transforms.Compose(steps))
    readers = {
        f"{name}, {workers} {kind}": make(folder, workers, options.batch_size)
        for workers in options.workers
        for name, kind, make in (("on demand", "threads", on_demand), ("DataLoader", "processes", data_loader))
    }
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(options.turns):
        for name, batches in readers.items():
            start = time.perf_counter()
            for _ in batches():
                pass
            seconds[name].append(time.perf_counter() - start)
    return {name: round(len(folder) / statistics.median(taken)) for name, taken in seconds.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--turns", type=int, default=5)
    chosen = parser.parse_args()
    rates = measure(chosen)
    print(
        json.dumps(
            {"date": str(date.today()), "hardware": hardware(torch.device("cpu")), "images_per_second": rates}, indent=1
        )
    )
