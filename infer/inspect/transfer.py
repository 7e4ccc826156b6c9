"""The commands that take distilled sets in, hand them out and have students trained on them; torch comes on use."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infer.errors import UsageError
from infer.formats.names import AUTO, FKD, FORMATS
from infer.tables import Report

_HOLDS = "; ".join(f"{name}: {content}" for name, content in FORMATS.items())
_IMPORT_EPILOG = f"Formats, in the order in which they are looked for: {_HOLDS}."
_EVALUATE_EPILOG = """labeling=hard needs nothing else; labeling=static and labeling=dynamic train teachers. Labels that
were made elsewhere: labeling=static labeling.source=set (soft labels that the set came with), labeling=fkd
labeling.source=set (those of a run, which lie with its set), labeling=fkd labeling.path=FOLDER (of epoch_0/batch_0.tar
and so on; where the protocol asks for other batches than were labelled, the settings to type are said)."""
_BEST_JPEG = 95


def add_commands(commands: Any, add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add ``import``, ``export`` and ``evaluate``; ``add`` makes a subcommand with the options that all have."""
    _add_import(
        add(commands, "import", "take in a distilled set of another tool", _import, "json", epilog=_IMPORT_EPILOG)
    )
    _add_export(add(commands, "export", "write a distilled set in another tool's format", _export, "json"))
    about = "train students on a distilled set, whoever made it"
    parser = add(commands, "evaluate", about, _evaluate, epilog=_EVALUATE_EPILOG)
    parser.add_argument(
        "path", metavar="PATH", type=Path, help="a run, or a folder or file in a format of infer import"
    )
    parser.add_argument("settings", metavar="SETTING", nargs="*", help="as for launch.py: evaluate=..., labeling=hard")


def _add_import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="the folder or file to read")
    parser.add_argument("settings", metavar="SETTING", nargs="*", help="of the data set, e.g. dataset.root=FOLDER")
    _add_to(parser)
    parser.add_argument("--format", choices=[AUTO, *FORMATS], default=AUTO, help=f"{AUTO} (the default) looks for each")
    parser.add_argument(
        "--dataset", metavar="NAME", help="the data set of its classes: checks them, and gives mean and std"
    )
    parser.add_argument("--classes", metavar="FILE", type=Path, help="the class names in order, one per line or JSON")
    for name, done in (("mean", "subtracted from"), ("std", "then divided out of")):
        told = f"what was {done} values in [0, 1] where the set holds floats; without it that of the data set"
        parser.add_argument(f"--{name}", metavar=("R", "G", "B"), nargs=3, type=float, help=told)


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("set", metavar="RUN_OR_FOLDER", help="a run as infer show names it, or a folder with a set")
    _add_to(parser)
    told = f"{_HOLDS}; {FKD}: epoch_0/batch_0.tar, ..., the labels of a run with labeling=fkd"
    parser.add_argument("--format", choices=[*FORMATS, FKD], required=True, help=told)
    parser.add_argument(
        "--jpeg",
        metavar="QUALITY",
        nargs="?",
        type=_quality,
        const=_BEST_JPEG,
        help=f"JPEG (4:4:4) instead of PNG: smaller, and it loses; without a number {_BEST_JPEG}",
    )


def _add_to(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--to", metavar="FOLDER", type=Path, required=True, help="a new folder")


def _quality(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise UsageError(f"--jpeg {text}: a quality is a number from 1 to 100")
    return int(text)


def _import(options: argparse.Namespace) -> Report:
    from infer.formats.commands import import_set

    return import_set(options)


def _export(options: argparse.Namespace) -> Report:
    from infer.formats.commands import export_labels, export_set

    return export_labels(options) if options.format == FKD else export_set(options)


def _evaluate(options: argparse.Namespace) -> Report:
    from infer.formats.evaluation import evaluate_set

    return evaluate_set(options)
