"""``infer results``: print the measured results that come with the package, and add those of runs to them."""

import argparse
from pathlib import Path

from infer.commands.parsing import RUN, Commands, add_command, at_home
from infer.errors import UsageError
from infer.files import replaced_whole
from infer.records.find import pick_runs
from infer.records.results import add_results, has_tables, require_table_name, tabulate_results, with_tables
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
    page = None if options.into is None else _page(options.into, options.table)  # read before anything is written
    if options.add:
        require_table_name(options.table)
        runs = pick_runs(options.add, options.outputs)
        kept = results_of(runs, options.outputs, options.table, options.name, options.published, options.source)
        add_results(kept)
    elif ignored := [word for word in ("name", "published", "source") if getattr(options, word)]:
        raise UsageError(f"--{ignored[0]} is for a row that is added. Type --add RUN as well")
    if page is not None:
        _rewrite(options.into, page)
    return tabulate_results(options.table)


def _page(path: Path, table: str) -> str:
    """The text of a page that has a place for a table."""
    if not path.is_file():
        raise UsageError(f"--into={path} was given, but there is no such file")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        told = f"--into={path} is not UTF-8 ({error.reason} at byte {error.start})"
        raise UsageError(f"{told}. Save it as UTF-8") from error
    if not has_tables(text):
        marks = f"<!-- results: {table} --> and <!-- end of results -->"
        raise UsageError(f"--into={path} has no place for a table. Write these lines where it belongs: {marks}")
    return text


def _rewrite(path: Path, page: str) -> None:
    text = with_tables(page)
    with replaced_whole(path.resolve(), "w") as file:  # of a link, what it leads to
        file.write(text)
