"""``infer rerun``: make a run again from its record without reusing anything, and compare the two."""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from infer.commands.diff import report_runs
from infer.commands.parsing import RUN, Commands, add_command
from infer.console import size
from infer.errors import RunError
from infer.records.artefacts import StoredArtefact, bytes_on_disk, stored_artefacts
from infer.records.differences import compare
from infer.records.find import pick_run
from infer.records.folders import find_runs
from infer.records.run import DONE, Run
from infer.tables import Report
from infer.words import hydra_quoted, launch_command, shell_line

RERUNS = ".rerun"
"""Folder below ``outputs`` in which runs are made again. It is not searched for runs or artefacts."""
_NOT_COMPARED = ("report", "analyses")
"""Stages whose artefacts are pictures of numbers; their bytes depend on fonts and versions of libraries."""
_EPILOG = """After an interruption, the same command continues. Exit code: 0 if the run was made again; with
--assert-equal 1 if scores or the bytes of an artefact differ."""


def add_to(commands: Commands) -> None:
    """Add ``rerun`` to ``commands``."""
    about = "make a run again without reusing anything, and compare the two"
    parser = add_command(commands, "rerun", about, run, ("json", "md"), epilog=_EPILOG)
    parser.add_argument("name", metavar="RUN", help=RUN)
    parser.add_argument(
        "--assert-equal", action="store_true", help="exit with code 1 unless scores and artefacts are equal"
    )


def run(options: argparse.Namespace) -> Report:
    """Make the run that ``options.name`` names again, and compare the two."""
    from infer.commands.repeated_runs import repetition_of  # Hydra takes half a second

    first = pick_run(options.name, options.outputs)
    outputs = options.outputs / RERUNS / first.folder.name
    words = [*repetition_of(first).words, *_said_again(first), f"outputs={hydra_quoted(str(outputs))}"]
    second = _made(words, outputs)
    return _compared(first, second, options.outputs, outputs, options.assert_equal)


def _said_again(first: Run) -> list[str]:
    """Words that set the stages and baselines of the run.

    A job of a sweep has no baselines by default, so they must be switched off in the repetition.
    """
    listed = {key: first.setting(key) for key in ("stages", "baselines", "baseline_budgets")}
    if listed["baselines"] is None and first.planned:
        listed["baselines"] = []
    return [f"{key}=[{','.join(values)}]" for key, values in listed.items() if values is not None]


def _made(words: list[str], outputs: Path) -> Run:
    """The run of ``words``, which is made first unless it is finished already."""
    from infer.commands.launching import launch_aside  # Hydra takes half a second

    if not _finished(outputs):
        launch_aside(words)
    made = _finished(outputs)
    if made is None:
        raise RunError(f"the repetition has left no finished run under {outputs}. Type {launch_command(words)}")
    return made


def _finished(outputs: Path) -> Run | None:
    runs = find_runs(outputs) if outputs.is_dir() else []
    return next((run for run in reversed(runs) if run.state == DONE), None)


def _compared(first: Run, second: Run, outputs: Path, again: Path, must_be_equal: bool) -> Report:
    """The report of ``infer diff`` on the two runs, with the number of artefacts whose bytes are equal."""
    comparison = compare(first, second)
    report = report_runs(first, second, comparison, everything=False)
    pairs = _pairs(first, outputs, again)
    unlike = sorted(name for name, (a, b) in pairs.items() if b is None or a.record["files"] != b.record["files"])
    told = [f"artefacts: {len(pairs) - len(unlike)} of {len(pairs)} are the same to the last bit"]
    if unlike:
        told.append(f"not the same: {', '.join(unlike)}")
    kept = f"the repetition takes {size(bytes_on_disk(again))}; remove it with: {shell_line(['rm', '-r', str(again)])}"
    return replace(
        report,
        closing=[*report.closing, *told, kept],
        data={**report.data, "artefacts": {"compared": len(pairs), "unlike": unlike}},
        code=1 if must_be_equal and (unlike or not comparison.equal) else 0,
    )


def _pairs(first: Run, outputs: Path, again: Path) -> Mapping[str, tuple[StoredArtefact, StoredArtefact | None]]:
    """Artefacts of ``first`` that are still stored, each with the repeated one of the same signature, by name."""
    signatures = {s for stage, several in first.signatures.items() if stage not in _NOT_COMPARED for s in several}
    before, after = (stored_artefacts(root, sorted(signatures)) for root in (outputs, again))
    return {stored.folder.name: (stored, after.get(signature)) for signature, stored in before.items()}
