"""``infer results``: print the measured results that come with the package, and add those of runs to them."""

import argparse
from pathlib import Path

from infer.commands.parsing import RUN, Commands, add_command, at_home
from infer.errors import UsageError
from infer.files import replaced_whole
from infer.records.find import pick_runs
from infer.records.results import add_results, tabulate_results, with_tables
from infer.records.results_of_runs import results_of
from infer.tables import Report


def add_to(commands: Commands) -> None:
    """Add ``results`` to ``commands``."""
    about = "print the measured results that come with the package, or add to them"
    parser = add_command(commands, "results", about, run, ("json", "csv", "md"))
    parser.add_argument("table", metavar="TABLE", help="name of a table, e.g. reproduction")
    told = f"add the results of runs or sweeps; runs that differ only in their seed become one row; {RUN}"
    parser.add_argument("--add", metavar="RUN_OR_SWEEP", nargs="+", help=told)
    parser.add_argument("--name", help="name of the row, instead of the method's")
    parser.add_argument("--published", metavar="NUMBER", default="", help="published number of the row")
    parser.add_argument("--source", metavar="TEXT", default="", help="source of the published number")
    parser.add_argument(
        "--into",
        metavar="FILE",
        type=at_home,
        help="write all tables of this page again, between its <!-- results: ... --> marks",
    )


def run(options: argparse.Namespace) -> Report:
    """Add the results of runs if requested, write all tables into a page if requested, and show ``options.table``."""
    if options.add:
        runs = pick_runs(options.add, options.outputs)
        kept = results_of(runs, options.outputs, options.table, options.name, options.published, options.source)
        add_results(kept)
    if options.into:
        _rewrite(options.into)
    return tabulate_results(options.table)


def _rewrite(readme: Path) -> None:
    if not readme.is_file():
        raise UsageError(f"--into={readme} was given, but there is no such file")
    text = with_tables(readme.read_text(encoding="utf-8"))
    with replaced_whole(readme, "w") as file:
        file.write(text)
