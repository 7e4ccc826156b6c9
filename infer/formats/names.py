"""The names of the formats, without torch: so that the console answers at once."""

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
"""The files of each format, in the order in which they are looked for."""
HOLDS = "; ".join(f"{name}: {content}" for name, content in FORMATS.items())
"""The same in one line, for help texts."""
HUB = "hf"
"""Parquet with a data-set card and the set's own files: written of a set, and read as parquet."""
HOLD_IMAGE_FILES = ("parquet", HUB, "sre2l", "rded", "imagefolder")
"""Their images are files; the others hold normalised numbers."""
HOLD_SOFT_LABELS = ("ddranking", "mtt", "parquet", HUB)
FKD = "fkd"
"""Labels without images: written of a run, beside its images as a tree."""
