"""``infer rm``: move runs and sweeps to the trash."""

import argparse
import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path

from infer.commands import trash
from infer.commands.parsing import RUN, Commands, add_command
from infer.console import size
from infer.errors import UsageError
from infer.records.artefacts import bytes_on_disk
from infer.records.find import pick_run, pick_sweep
from infer.records.folders import all_records, is_sweep
from infer.records.names import RESULT
from infer.records.run import RUNNING, Run
from infer.records.sweeps import read_sweep
from infer.tables import Report, count
from infer.words import shell_line


def add_to(commands: Commands) -> None:
    """Add ``rm`` to ``commands``."""
    parser = add_command(commands, "rm", "move runs to the trash, which infer gc --delete empties", run, ("json",))
    parser.add_argument("runs", metavar="RUN", nargs="+", help=f"{RUN}; or a sweep, by its folder or its name")
    parser.add_argument("--force", action="store_true", help="also move a run whose record says that it is running")


def run(options: argparse.Namespace) -> Report:
    """Move the folders of the runs and sweeps that ``options.runs`` name to the trash."""
    there = all_records(options.outputs)[0]
    folders = list(dict.fromkeys(_folder_of(word, options.outputs) for word in options.runs))
    for folder in folders:
        _check(folder, options.outputs, there, options.force)
    freed = {str(folder): bytes_on_disk(folder) for folder in folders}
    now = datetime.now(UTC)
    places = {str(folder): str(_set_aside(folder, options.outputs, now)) for folder in folders}
    return Report(
        data={"bytes": sum(freed.values()), "set_aside": places},
        lines=[f"{folder} -> {place}" for folder, place in places.items()],
        closing=[
            f"{count(folders, 'folder')}, {size(sum(freed.values()))}, set aside; what they were made from stays",
            "Free what no other run needs, after its grace period: infer gc --delete",
        ],
    )


def _folder_of(word: str, outputs: Path) -> Path:
    sweep = pick_sweep(word, outputs)
    return Path(os.path.abspath(sweep or pick_run(word, outputs).folder))


def _set_aside(folder: Path, outputs: Path, now: datetime) -> Path:
    """Move ``folder`` to the trash and return its new place.

    If it is that of a job, this is noted in the plan of the sweep, since the job would count as lost otherwise.
    """
    place = trash.set_aside(folder, outputs, now)
    with contextlib.suppress(UsageError):  # of a damaged plan, which does not matter for other jobs
        if sweep := read_sweep(folder.parent):
            sweep.write_removed(folder.parent, folder.name)
    return place


def _check(folder: Path, outputs: Path, there: list[Run], even_running: bool) -> None:
    """Raise UsageError unless ``folder`` is below ``outputs``, neither is nor contains a link to a folder, and holds
    one run or one sweep that is not running."""
    if Path(os.path.abspath(outputs)) not in folder.parents:
        raise UsageError(f"{folder} does not lie below {outputs}. Type infer rm with --outputs <its root>")
    _refuse_links(folder, outputs)
    own = [run for run in there if Path(os.path.abspath(run.folder)) == folder]
    inside = [run for run in there if folder in Path(os.path.abspath(run.folder)).parents]
    if own and inside:
        raise UsageError(f"{folder} holds another run, {inside[0].name}. Move that out of it first")
    busy = [run for run in (*own, *inside) if run.state == RUNNING]
    if busy and not even_running:
        raise UsageError(
            f"{busy[0].name} is running, by its record. Let it end; if its process is gone, type infer rm --force"
        )


def _refuse_links(folder: Path, outputs: Path) -> None:
    """Raise UsageError where ``folder``, or a folder in it, is a link, since the files behind it would not be moved."""
    link = next((path for path in (folder, *sorted(folder.iterdir())) if path.is_symlink() and path.is_dir()), None)
    if link is None:
        return
    target, alone = link.resolve(), shell_line(["rm", str(link)])
    told = f"{link} is a link to {target}, where the files would stay. Type {alone} to remove the link alone"
    if outputs.resolve() in target.parents and ((target / RESULT).is_file() or is_sweep(target)):
        command = shell_line(["infer", "rm", str(target), "--outputs", str(outputs)])
        raise UsageError(f"{told}, or {command} to set aside the folder")
    raise UsageError(f"{told}; the folder itself is yours to delete")
