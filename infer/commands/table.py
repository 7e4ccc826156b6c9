"""``infer table``: show runs side by side."""

import argparse

from infer.commands.parsing import RUN, Commands, add_command
from infer.records.find import pick_runs
from infer.records.table import Choice, tabulate
from infer.tables import Report


def add_to(commands: Commands) -> None:
    """Add ``table`` to ``commands``."""
    parser = add_command(commands, "table", "show runs side by side", run, ("json", "csv", "md", "html", "latex"))
    parser.add_argument("runs", metavar="RUN_OR_SWEEP", nargs="+", help=f"{RUN}; a sweep stands for all its jobs")
    parser.add_argument("--sort", metavar="COLUMN", help="order by this column instead of by time")
    parser.add_argument("--reverse", action="store_true", help="reverse the order")
    parser.add_argument("--columns", metavar="A,B,...", help="show only these columns, in this order")
    told = "show only rows with this value; may be repeated"
    parser.add_argument("--where", metavar="COLUMN=VALUE", action="append", default=[], help=told)


def run(options: argparse.Namespace) -> Report:
    """Show the runs that ``options.runs`` name in one table."""
    runs = pick_runs(options.runs, options.outputs)
    columns = None if options.columns is None else options.columns.split(",")
    return tabulate(runs, Choice(options.sort, options.reverse, columns, options.where))
