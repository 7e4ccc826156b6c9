"""``infer export``: write a distilled set, or its stored labels, in the format of another program."""

import argparse

from infer.commands.parsing import RUN, Commands, add_command, add_to_folder
from infer.errors import UsageError
from infer.formats.names import FKD, FORMATS, HOLDS, HUB
from infer.tables import Report

_BEST_JPEG = 95


def add_to(commands: Commands) -> None:
    """Add ``export`` to ``commands``."""
    parser = add_command(commands, "export", "write a distilled set in the format of another program", run, ("json",))
    parser.add_argument("set", metavar="RUN_OR_FOLDER", help=f"{RUN}; or a folder with a set")
    add_to_folder(parser)
    told = (
        f"{HOLDS}; {HUB}: parquet with a card, for Hugging Face's datasets; {FKD}: epoch_0/batch_0.tar, ..., the "
        "labels of a run with labeling=fkd"
    )
    parser.add_argument("--format", choices=[*FORMATS, HUB, FKD], required=True, help=told)
    parser.add_argument(
        "--jpeg",
        metavar="QUALITY",
        nargs="?",
        type=_quality,
        const=_BEST_JPEG,
        help=f"write JPEG (4:4:4) instead of PNG: smaller, but lossy (default quality: {_BEST_JPEG})",
    )


def run(options: argparse.Namespace) -> Report:
    """Write the set of a run or a folder, or its labels for the format fkd."""
    from infer.commands.exchange import export_labels, export_set  # torch takes seconds

    return export_labels(options) if options.format == FKD else export_set(options)


def _quality(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise UsageError(f"--jpeg {text}: a quality is a number from 1 to 100")
    return int(text)
