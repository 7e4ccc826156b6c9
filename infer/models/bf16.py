"""Networks that train faster in bf16 on a CPU with bf16 instructions. Importing this module does not import torch.

This is decided by a table and not by a timing in the run: a timing depends on the load of the machine, and two runs of
the same command could then differ in their bits.
"""

from infer.models import names

_LEAST_SIZE = 32
"""Edge in pixels of the smallest images for which bf16 is used; on 8x8 digits a step of resnet14_w8 is slower in it."""
_FASTER_FAMILIES = ("resnet", "resnet_thin", "convnet", "mobilenetv2", "shufflenet_g2")
_CONVNET_NORMS = ("batchnorm", "instancenorm")


def trains_faster_in_bf16(arch: str, image_size: int) -> bool:
    """True if a training step of ``arch`` on images of ``image_size`` pixels takes less time in bf16 than in fp32.

    Ratio of the processor time of a step in fp32 to that in bf16, for batches of 16 to 128, on one thread of an AMD
    EPYC with AVX512-BF16 that was also in other use, torch 2.14, 2026-11-27, medians of 3 pairs:

        resnet18 1.86 (64x64: 1.94)         convnet3 1.82, _batchnorm 1.99, _w64_batchnorm 2.37, _w32_batchnorm 1.35
        resnet8, 14, 20: 1.41, 1.51, 1.51   convnet4 at 64x64: 1.49
        mobilenetv2 1.60                    shufflenet_g2 1.27         efficientnet_b0 0.53

    Ratio of wall-clock times with two threads on the otherwise idle machine (``tests/benchmarks/training.py``):
    resnet18 1.84, mobilenetv2 1.03, shufflenet_g2 1.25, efficientnet_b0 0.50, convnet3_w128_batchnorm 1.74.

    Other depths and widths are treated like the measured ones of their family. Networks that were not measured, such as
    all of timm and torchvision, use fp32.
    """
    if image_size < _LEAST_SIZE:
        return False
    parsed = names.parse(arch)
    return parsed.family in _FASTER_FAMILIES and (parsed.family != "convnet" or parsed.norm in _CONVNET_NORMS)
