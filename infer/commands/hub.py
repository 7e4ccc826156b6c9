"""Files that ``infer export --format hf`` writes in addition to Parquet: the set's own files, and the data-set card.

``datasets.load_dataset(folder)`` reads the files that ``configs`` in the card names, which are the Parquet files only.
With the subfolder ``distilled``, the same folder can be opened by ``infer.load`` and ``infer evaluate``.
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
    """Add ``distilled/`` and ``README.md`` to the new ``folder``, which contains the images as Parquet.

    ``source`` is the folder from which the set ``finished`` and its ``manifest`` were read. ``notes`` are sentences on
    what the Parquet files lose.
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
