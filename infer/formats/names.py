"""Names of the formats. This module does not import torch, so that commands start fast."""

AUTO = "auto"
FORMATS = {
    "ddranking": "images.pt (with labels.pt and lr.pt)",
    "mtt": "images_best.pt (with labels_best.pt and lr_best.pt)",
    "initial": "tensor_0.pt, tensor_1.pt, ...",
    "dc": "a file .pt or .pth whose data[-1] is (images, labels), or (images, labels) itself",
    "parquet": "*.parquet, here, in data/ or in a folder of a split (train/, plain_text/train-*)",
    "sre2l": "folders new000, new001, ... of images",
    "rded": "folders 00000, 00001, ... of images",
    "imagefolder": "a folder of images for each class",
}
"""Files of each format, in the order in which formats are tried for detection."""
HOLDS = "; ".join(f"{name}: {content}" for name, content in FORMATS.items())
"""``FORMATS`` as one line, for help texts."""
HUB = "hf"
"""Format of parquet with a data-set card and the set's own files; it can be written, and is read as parquet."""
HOLD_IMAGE_FILES = ("parquet", HUB, "sre2l", "rded", "imagefolder")
"""Formats that store images as image files; the others store normalised numbers."""
HOLD_SOFT_LABELS = ("ddranking", "mtt", "parquet", HUB)
"""Formats that can store soft labels."""
FKD = "fkd"
"""Format of the labels of a run without images; the images are exported separately, as a tree."""
