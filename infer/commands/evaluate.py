"""``infer evaluate``: train students on a distilled set, also on one of another program."""

import argparse

from infer.commands.parsing import Commands, add_command, at_home
from infer.tables import Report

_EPILOG = """labeling=hard trains students only; labeling=static, dynamic and fkd train teachers first. Labels made
elsewhere: labeling=static labeling.source=set (soft labels that the set came with), labeling=fkd labeling.source=set
(FKD labels that lie with a run's set), labeling=fkd labeling.path=FOLDER (FKD labels in epoch_0/batch_0.tar, ...;
their batches override the protocol's, and a line lists the settings). Described in infer/formats/README.md."""


def add_to(commands: Commands) -> None:
    """Add ``evaluate`` to ``commands``."""
    about = "train students on a distilled set, also on one made by another program"
    parser = add_command(commands, "evaluate", about, run, epilog=_EPILOG)
    parser.add_argument(
        "path", metavar="PATH", type=at_home, help="a run, or a folder or file in a format of infer import"
    )
    parser.add_argument("settings", metavar="SETTING", nargs="*", help="as for launch.py: evaluate=..., labeling=hard")


def run(options: argparse.Namespace) -> Report:
    """Run ``launch.py method=imported`` with the set at ``options.path``."""
    from infer.commands.launching import evaluate_set  # Hydra takes half a second

    return evaluate_set(options)
