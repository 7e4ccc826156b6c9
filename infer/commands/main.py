"""The ``infer`` command. It does not import torch, so that it starts fast; subcommands import it where they need it."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from infer.commands.parsing import Parser
from infer.console import printing
from infer.errors import INTERRUPTED, describe, exit_code_for
from infer.records.latex import as_latex
from infer.tables import Report, print_report
from infer.words import shell_line, visible

_COMMANDS = (
    "ls",
    "show",
    "diff",
    "table",
    "report",
    "score",
    "analyse",
    "results",
    "rerun",
    "verify",
    "rm",
    "gc",
    "import",
    "export",
    "evaluate",
    "estimate",
    "watch",
)
"""Subcommands in the order of ``infer --help``; each is implemented in the module of this package with its name."""
_OTHER_MODULES = {"import": "import_set"}
"""Modules of subcommands whose name is a keyword of Python."""


def main() -> None:
    """Entry point of the installed command."""
    try:
        code = printing(lambda: run(sys.argv[1:]))
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


def run(words: Sequence[str]) -> int:
    """Run one command line and return its exit code: 2 for a usage error, otherwise that of the command."""
    try:
        options = parse(words)
        report: Report = options.run(options)
        _print(report, options.form, words)
    except Exception as error:
        if isinstance(error, BrokenPipeError) or os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        print(f"infer: {visible(describe(error))}", file=sys.stderr)
        return exit_code_for(error)
    return report.code


def _print(report: Report, form: str, words: Sequence[str]) -> None:
    """Print ``report`` as text, md, csv, json, latex, or html; the title of the page is the command line, ``words``."""
    if form == "html":
        from infer.reports.page import as_html

        print(as_html(report, shell_line(["infer", *words])), end="")
    elif form == "latex":
        print(as_latex(report), end="")
    else:
        print_report(report, form)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Options of a command line. Settings (key=value) may also follow options, which argparse itself does not allow."""
    parser = Parser(
        prog="infer",
        description="List and compare runs, check and clean up the store, exchange distilled sets with other programs.",
        epilog="Options of a command: infer COMMAND --help. Examples: infer/commands/README.md.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    named = words[:1] if words and words[0] in _COMMANDS else _COMMANDS
    for name in named:  # loading all modules takes longer than most commands
        importlib.import_module(f"infer.commands.{_OTHER_MODULES.get(name, name)}").add_to(commands)
    options, rest = parser.parse_known_args(words)
    if "settings" in options and not any(word.startswith("-") for word in rest):
        options.settings += rest
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return options
