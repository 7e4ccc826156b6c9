"""``infer import``: convert a distilled set of another program."""

import argparse

from infer.commands.parsing import Commands, add_command, add_to_folder, at_home
from infer.formats.names import AUTO, FORMATS, HOLDS
from infer.tables import Report

_EPILOG = f"Formats, in the order of detection: {HOLDS}. Described in infer/formats/README.md."


def add_to(commands: Commands) -> None:
    """Add ``import`` to ``commands``."""
    about = "convert a distilled set of another program into this package's format"
    parser = add_command(commands, "import", about, run, ("json",), epilog=_EPILOG)
    parser.add_argument("source", metavar="SOURCE", help="folder or file to read")
    parser.add_argument("settings", metavar="SETTING", nargs="*", help="of the data set, e.g. dataset.root=FOLDER")
    add_to_folder(parser)
    parser.add_argument("--format", choices=[AUTO, *FORMATS], default=AUTO, help=f"{AUTO} (the default): detected")
    parser.add_argument(
        "--dataset",
        metavar="NAME",
        help="data set that gives the classes, which are checked, and the defaults of --mean and --std",
    )
    parser.add_argument(
        "--classes", metavar="FILE", type=at_home, help="file with the class names in order, one per line or as JSON"
    )
    for name, done in (("mean", "subtracted from"), ("std", "then divided out of")):
        told = f"for a set of floats: what was {done} values in [0, 1] (default: the value of the data set)"
        parser.add_argument(f"--{name}", metavar=("R", "G", "B"), nargs=3, type=float, help=told)


def run(options: argparse.Namespace) -> Report:
    """Write the set at ``options.source`` as a folder of the ``infer`` format."""
    from infer.commands.exchange import import_set  # torch takes seconds

    return import_set(options)
