"""Networks that train faster in bf16 on a CPU with bf16 instructions. Importing this module does not import torch.

A table, and no timing in the run: a timing would be decided by whatever else the machine does at that moment, and two
runs of one command would differ in their bits.
"""

from infer.models import names

_LEAST_SIZE = 32
"""Pixels along the edge of the smallest images that gain; on 8x8 digits a step of resnet14_w8 is slower in bf16."""
_FASTER_FAMILIES = ("resnet", "resnet_thin", "convnet", "mobilenetv2", "shufflenet_g2")
_CONVNET_NORMS = ("batchnorm", "instancenorm")


def trains_faster_in_bf16(arch: str, image_size: int) -> bool:
    """True if a training step of ``arch`` on images of ``image_size`` pixels takes less time in bf16 than in fp32.

    Processor time of a step in fp32 over that in bf16, batches of 16 to 128,
    one thread of a busy AMD EPYC with AVX512-BF16, torch 2.14, 2026-11-27, medians of 3 pairs:

        resnet18 1.86 (64x64: 1.94)         convnet3 1.82, _batchnorm 1.99, _w64_batchnorm 2.37, _w32_batchnorm 1.35
        resnet8, 14, 20: 1.41, 1.51, 1.51   convnet4 at 64x64: 1.49
        mobilenetv2 1.60                    shufflenet_g2 1.27         efficientnet_b0 0.53

    By the clock, two threads and nothing beside (``tests/benchmarks/training.py``): resnet18 1.84, mobilenetv2 1.03,
    shufflenet_g2 1.25, efficientnet_b0 0.50, convnet3_w128_batchnorm 1.74.

    Other depths and widths go with their family. What was not measured, all networks of timm and torchvision among
    them, keeps fp32.
    """
    if image_size < _LEAST_SIZE:
        return False
    parsed = names.parse(arch)
    return parsed.family in _FASTER_FAMILIES and (parsed.family != "convnet" or parsed.norm in _CONVNET_NORMS)
