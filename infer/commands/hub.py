"""The folder of ``infer export --format hf`` beside its Parquet file: the set's own files, and the data-set card.

``datasets.load_dataset(folder)`` reads what the card's ``configs`` name, which is the Parquet file alone; the subfolder
``distilled`` makes the same folder one that ``infer.load`` and ``infer evaluate`` open.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from infer.commands.card import Contents, card
from infer.formats.foreign_set import ForeignSet
from infer.formats.parquet import soft_label_column
from infer.formats.parquet_files import files
from infer.records.names import DISTILLED, MANIFEST, NATURAL, RESULT, tensor_file
from infer.records.run import Run


def complete_hub_folder(
    folder: Path, source: Path, finished: ForeignSet, manifest: Mapping[str, Any], notes: Sequence[str]
) -> None:
    """Add ``distilled/`` and ``README.md`` to the new ``folder``, into which the images were written as Parquet.

    ``source`` is the folder that the set ``finished`` was read from, with ``manifest``; ``notes`` say what was lost.
    """
    own = folder / DISTILLED
    own.mkdir()
    for name in (*manifest["files"], MANIFEST):
        shutil.copyfile(source / name, own / name)
    contents = Contents(
        manifest=manifest,
        num_images=len(finished),
        image_size=finished.image_size,
        soft_labels=soft_label_column(finished),
        are_composed=tensor_file(NATURAL) in manifest["files"],
        parquet_bytes=sum(file.stat().st_size for file in files(folder)),
        notes=notes,
    )
    record = source.parent / RESULT
    run = Run(source.resolve().parent.name, source.parent) if source.name == DISTILLED and record.is_file() else None
    (folder / "README.md").write_text(card(contents, run), encoding="utf-8")
