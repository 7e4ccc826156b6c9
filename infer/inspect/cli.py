"""The ``infer`` command: looks at what ``launch.py`` made. It starts without torch, so that it answers at once."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from infer.errors import UsageError, describe
from infer.inspect import transfer
from infer.tables import Report, count, show

_RUN = "a folder, a name, its beginning or a part of it, or the signature of an artefact of the run"
_FORMS = {"json": "print JSON", "csv": "print comma-separated values", "md": "print Markdown"}
_DIFF_CODES = "Exit code: 0 when settings, inputs and scores are equal (code and environment may differ), 1 when not."


def main() -> None:
    """Entry of the installed command."""
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, `head` for example, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def run(words: Sequence[str]) -> int:
    """Carry out one command line and return its exit code: 2 for a usage error, else what the command says."""
    try:
        options = _parsed(words)
        report = options.command(options)
        show(report, options.form)
    except Exception as error:
        if isinstance(error, BrokenPipeError) or os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        print(f"infer: {describe(error)}", file=sys.stderr)
        return getattr(error, "exit_code", 1)
    return report.code


def _parsed(words: Sequence[str]) -> argparse.Namespace:
    """``words`` taken apart; settings (key=value) may stand behind options too, which argparse does not see to."""
    parser = _parser()
    options, rest = parser.parse_known_args(words)
    if "settings" in options and not any(word.startswith("-") for word in rest):
        options.settings += rest
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return options


class _Parser(argparse.ArgumentParser):
    """Reports a wrong command line as every other error is, in one line."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}. See {self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="infer", description="Look at runs, compare them, check what is stored, and exchange sets.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add(commands, "ls", "list runs and sweep jobs, newest last", _ls, "json", "csv", "md")
    _add(commands, "show", "one run in full", _show, "json", "md").add_argument("run", metavar="RUN", help=_RUN)
    _add_diff(commands)
    _add_table(commands)
    verify = _add(commands, "verify", "check every stored file against its checksum", _verify, "json", "md")
    verify.add_argument("path", metavar="PATH", nargs="?", type=Path, help="a folder; without it the outputs folder")
    gc = _add(commands, "gc", "list what is stored and no run under DIR refers to", _gc, "json", "md")
    act = gc.add_mutually_exclusive_group()
    act.add_argument("--dry-run", action="store_true", help="only list it, as without this word")
    act.add_argument("--delete", action="store_true", help="delete it")
    transfer.add_commands(commands, _add)
    return parser


def _add(commands: Any, name: str, about: str, command: Any, *forms: str, **more: Any) -> argparse.ArgumentParser:
    """A subcommand with the options that all have: where the runs are and in which form to print."""
    parser = commands.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.", **more)
    parser.add_argument(
        "--outputs",
        metavar="DIR",
        type=Path,
        default=Path("outputs"),
        help="root of everything that runs wrote",
    )
    choice = parser.add_mutually_exclusive_group() if forms else None  # argparse cannot show an empty one
    for form in forms:
        choice.add_argument(f"--{form}", action="store_const", const=form, dest="form", help=_FORMS[form])
    parser.set_defaults(command=command, form="text")
    return parser


def _add_diff(commands: Any) -> None:
    parser = _add(commands, "diff", "what differs between two runs", _diff, "json", "md", epilog=_DIFF_CODES)
    parser.add_argument("pair", metavar="RUN", nargs="*", help=f"{_RUN}; without names the last two finished runs")
    parser.add_argument(
        "--config", action="store_true", help='compare settings not yet run: --config "M=1" "M=2 ipc=5"'
    )
    parser.add_argument("--all", action="store_true", help="show equal settings and scores too")


def _add_table(commands: Any) -> None:
    parser = _add(commands, "table", "runs side by side", _table, "json", "csv", "md")
    parser.add_argument("runs", metavar="RUN_OR_SWEEP", nargs="+", help=f"{_RUN}; a sweep stands for all its jobs")
    parser.add_argument("--sort", metavar="COLUMN", help="order by this column instead of by time")
    parser.add_argument("--reverse", action="store_true", help="turn the order round")


# Each command imports what it needs itself: `infer ls` is not to wait for Hydra.


def _ls(options: argparse.Namespace) -> Report:
    from infer.inspect.listing import list_runs

    return list_runs(options.outputs)


def _show(options: argparse.Namespace) -> Report:
    from infer.inspect.show import show_run
    from infer.records.find import pick_run

    return show_run(pick_run(options.run, options.outputs))


def _diff(options: argparse.Namespace) -> Report:
    if options.config:
        return _diff_of_configs(options)
    from infer.inspect.diff_report import report_runs
    from infer.records.differences import compare
    from infer.records.find import last_finished, pick_run

    if len(options.pair) not in (0, 2):
        raise UsageError(f"{count(options.pair, 'run')} given; name two, or none for the last two: infer diff A B")
    a, b = [pick_run(word, options.outputs) for word in options.pair] or last_finished(options.outputs, 2)
    return report_runs(a, b, compare(a, b), options.all)


def _diff_of_configs(options: argparse.Namespace) -> Report:
    from infer.inspect.configs import settings_of_words
    from infer.inspect.diff_report import report_settings
    from infer.records.differences import compare_settings

    if len(options.pair) != 2:
        raise UsageError(f'{count(options.pair, "config")} given; type two: infer diff --config "M=1" "M=2 ipc=5"')
    (a, config_a), (b, config_b) = (settings_of_words(words) for words in options.pair)
    protocols = [config.protocol_name_with(config.labeling.mode) for config in (config_a, config_b)]
    comparison = compare_settings(a, b, (protocols[0], protocols[1]))
    return report_settings(*options.pair, comparison, options.all)


def _table(options: argparse.Namespace) -> Report:
    from infer.records.find import pick_runs
    from infer.records.table import tabulate

    return tabulate(pick_runs(options.runs, options.outputs), options.sort, options.reverse)


def _verify(options: argparse.Namespace) -> Report:
    from infer.inspect.verify import verify

    return verify(options.path or options.outputs)


def _gc(options: argparse.Namespace) -> Report:
    from infer.inspect.garbage import collect

    return collect(options.outputs, options.delete)
