"""Options that several subcommands share, and the parser, which reports a wrong command line in one line."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeAlias

from infer.errors import UsageError
from infer.tables import Report
from infer.words import expanded, has_controls, visible

Commands: TypeAlias = "argparse._SubParsersAction[Parser]"
"""Type of the subcommands of a parser in argparse."""
RUN = "a run: its folder, its name or a unique part of it, or the signature of one of its artefacts"
_FORMS = {
    "json": "print JSON",
    "csv": "print comma-separated values",
    "md": "print Markdown",
    "html": "print an HTML page",
    "latex": "print a table for a paper; the best value is bold, values within its noise are underlined",
}


class Parser(argparse.ArgumentParser):
    """A parser whose errors are usage errors of this program."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}. See {self.prog} --help")


def at_home(text: str) -> Path:
    """The path ``text`` with a ``~`` replaced, which shells do not do after ``--option=``."""
    return Path(expanded(text))


def new_path(text: str) -> Path:
    """The path ``text`` of a folder to write. Raises UsageError where it cannot be one."""
    if has_controls(text) or not text.strip() or not at_home(text).name:
        raise UsageError(f"--to {visible(text)!r} is not a name for a new folder. Type --to FOLDER")
    return at_home(text)


def add_command(
    commands: Commands,
    name: str,
    about: str,
    run: Callable[[argparse.Namespace], Report],
    forms: tuple[str, ...] = (),
    epilog: str | None = None,
) -> Parser:
    """Add the subcommand ``name``, which calls ``run``, with the options that all subcommands have.

    ``forms`` lists the formats in which it can print in addition to text: json, csv, md, html, latex.
    """
    parser = commands.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.", epilog=epilog)
    parser.add_argument(
        "--outputs",
        metavar="DIR",
        type=at_home,
        default=Path("outputs"),
        help="folder of the runs and the store (default: outputs)",
    )
    if forms:  # argparse cannot show an empty group
        choice = parser.add_mutually_exclusive_group()
        for form in forms:
            choice.add_argument(f"--{form}", action="store_const", const=form, dest="form", help=_FORMS[form])
    parser.set_defaults(run=run, form="text")
    return parser


def add_to_folder(parser: Parser) -> None:
    """Add the option ``--to`` of commands that write a new folder."""
    parser.add_argument("--to", metavar="FOLDER", type=new_path, required=True, help="folder to write, new or empty")
