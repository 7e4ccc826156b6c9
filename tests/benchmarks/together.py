"""Time of a test by the number of images that pass a network together.

Processor time of one thread per image, in fp32, medians over turns in which every number is timed: other work on the
machine disturbs it less than time by the clock.

    python tests/benchmarks/together.py [--archs resnet18 ...] [--together 64 256 1024] [--turns 3]
"""

import argparse
import statistics
import time

import torch
from evaluation import hardware, new_network

from infer.environment import keep_large_blocks
from infer.normalisation import CIFAR10
from infer.training.images import Images
from infer.training.scoring import predict_logits

IMAGE_SIZE, NUM_CLASSES = 32, 10


def measure(arch: str, together: list[int], turns: int) -> dict[int, float]:
    """Milliseconds per image by the number of images together, of as many images for each."""
    network = new_network(arch, torch.device("cpu"))
    pixels = torch.randint(0, 256, (max(together), 3, IMAGE_SIZE, IMAGE_SIZE), dtype=torch.uint8)
    images = Images(pixels, CIFAR10)
    taken: dict[int, list[float]] = {count: [] for count in together}
    for turn in range(turns + 1):
        for count, times in taken.items():
            start = time.process_time()
            predict_logits(network, images, batch_size=count)
            if turn:  # the first is not counted
                times.append(1000 * (time.process_time() - start) / len(images))
    return {count: statistics.median(times) for count, times in taken.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archs", nargs="+", default=["mobilenetv2"])
    parser.add_argument("--together", nargs="+", type=int, default=[64, 256, 1024])
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_large_blocks()  # as a run does
    print(f"{hardware(torch.device('cpu'))}, torch {torch.__version__}, one thread; ms of processor time per image")
    print(f"{'images together':28}" + "".join(f"{count:>8}" for count in options.together))
    for arch in options.archs:
        times = measure(arch, options.together, options.turns)
        print(f"{arch:28}" + "".join(f"{time:8.2f}" for time in times.values()), flush=True)


if __name__ == "__main__":
    main()
