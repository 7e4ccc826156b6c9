"""Search for runs by the words that users type: a folder, a name, its beginning, a part of it, or a signature."""

import difflib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from infer.errors import UsageError
from infer.records.folders import find_runs, is_sweep, require_there, sweep_jobs
from infer.records.names import LOCKS, RESULT, RUNS, SWEEPS
from infer.records.run import DONE, Run
from infer.words import shell_line

_MOST_NAMED = 8
_SIGNATURE = re.compile(r"[0-9a-f]{6,64}")


def pick_run(word: str, outputs: Path) -> Run:
    """The run or sweep job that ``word`` names.

    Raises UsageError, with the nearest names or all candidates, where it names none or several.
    """
    return _pick(word, outputs, whole_sweeps=False)[1][0]


def pick_runs(words: Iterable[str], outputs: Path) -> list[Run]:
    """The runs that ``words`` name, each once. The name of a sweep stands for all of its jobs, even those not started.

    Raises UsageError as ``pick_run`` does.
    """
    found = {run.folder.resolve(): run for word in words for run in _pick(word, outputs, whole_sweeps=True)[1]}
    return list(found.values())


def require_store(folder: Path, outputs: Path) -> None:
    """Raise UsageError unless the artefacts of the run or sweep in ``folder`` are below ``outputs``.

    A run may be named by a path, in which case its artefacts are below the ``outputs`` folder that contains it.
    """
    require_there(outputs)
    here = Path(os.path.abspath(folder))  # links are not resolved, since runs may be on another disk
    if Path(os.path.abspath(outputs)) in here.parents:
        return
    roots = [path.parent for path in here.resolve().parents if path.name in (RUNS, SWEEPS)]
    root = next((root for root in roots if (root / LOCKS).is_dir() and root != outputs.resolve()), None)
    if root is not None:
        told = f"{folder} does not lie below {outputs}, where its artefacts are looked for"
        raise UsageError(f"{told}. Type {shell_line(['--outputs', str(root)])}")


def pick_sweep(word: str, outputs: Path) -> Path | None:
    """The folder of the sweep that ``word`` names; None where it names a run, or a job within its sweep.

    Raises UsageError as ``pick_run`` does.
    """
    if is_sweep(Path(word)) and word:
        return Path(word)
    if Path(word).is_dir() or "/" in word:
        return None
    name, (first, *_) = _pick(word, outputs, whole_sweeps=True)
    return None if name == first.name else first.folder.parent


def last_finished(outputs: Path, count: int) -> list[Run]:
    """The last ``count`` finished runs, in the order of their start. Raises UsageError where there are fewer."""
    found: list[Run] = []
    for run in reversed(find_runs(outputs)):
        if run.state == DONE:
            found.insert(0, run)
        if len(found) == count:
            return found
    raise UsageError(f"{outputs} holds {len(found)} finished runs and {count} are needed. List all runs: infer ls")


def _pick(word: str, outputs: Path, whole_sweeps: bool) -> tuple[str, list[Run]]:
    """The name that ``word`` stands for, and the run with that name or the jobs of the sweep."""
    if not word.strip("/ "):  # for example from an empty variable of a script; it is a part of every name
        raise UsageError(f"{word!r} names no run. Type a part of its name; list all runs: infer ls")
    if in_folder := _at_path(Path(word), whole_sweeps):
        return in_folder[0].name, in_folder
    if not word.strip("/ ."):  # the current folder or the one above; names contain dots
        raise UsageError(f"{word!r} is the folder of neither a run nor a sweep. List all runs: infer ls")
    named: dict[str, list[Run]] = {}
    for run in find_runs(outputs, planned=whole_sweeps):
        named.setdefault(run.name, []).append(run)
        if whole_sweeps and "/" in run.name:
            named.setdefault(run.name.split("/")[0], []).append(run)
    matches: tuple[Callable[[str], bool], ...] = (
        lambda name: name == word,
        lambda name: _agree(name, word, str.startswith),
        lambda name: _agree(name, word, str.__contains__),
    )
    for match in matches:
        if names := _without_jobs_of_matched_sweeps([name for name in named if match(name)]):
            return _in_one_place(_only(word, names), named)
    if holders := [name for name, runs in named.items() if name == runs[0].name and _holds_signature(runs[0], word)]:
        return _in_one_place(_only(word, holders), named)
    _refuse_without_record(word, outputs)
    raise UsageError(f"no run in {outputs} is called {word!r}{_nearest(word, list(named))}. List all runs: infer ls")


def _in_one_place(name: str, named: Mapping[str, list[Run]]) -> tuple[str, list[Run]]:
    """``name`` and its runs. Raises UsageError where they are in several folders, for example after copying."""
    runs = named[name]
    places = sorted({str(run.folder if run.name == name else run.folder.parent) for run in runs})
    if len(places) > 1:
        raise UsageError(f"{name} is the name of {len(places)} folders: {', '.join(places)}. Type one of them")
    return name, runs


def _refuse_without_record(word: str, outputs: Path) -> None:
    """Raise UsageError, with the reason, where ``word`` is the name or the path of a planned job without a record."""
    wanted = f"/{word.strip('/')}"
    for job in find_runs(outputs, planned=True):
        is_meant = wanted.endswith(f"/{job.name}") or job.name.endswith(wanted)
        if is_meant and not (job.folder / RESULT).is_file():
            reason = job.reason or "its sweep may start it yet"
            raise UsageError(f"{job.name} has no record: it is {job.state} ({reason})")


def _at_path(path: Path, whole_sweeps: bool) -> list[Run]:
    """The run in the folder ``path``, or the jobs of the sweep there; empty for any other folder."""
    if (path / RESULT).is_file():
        folder = path.resolve()
        in_sweep = folder.parent.parent.name == SWEEPS
        return [Run(f"{folder.parent.name}/{folder.name}" if in_sweep else folder.name, path)]
    return sweep_jobs(path) if whole_sweeps and is_sweep(path) else []


def _agree(name: str, word: str, compare: Callable[[str, str], bool]) -> bool:
    """True if ``word`` is the beginning (or a part) of ``name``.

    With a slash, the part before it may be the beginning (or a part) of the sweep's name if the rest is the job's name.
    """
    head, slash, job = word.partition("/")
    sweep, _, own_job = name.partition("/")
    return compare(name, word) or (bool(slash) and compare(sweep, head) and own_job == job)


def _without_jobs_of_matched_sweeps(names: list[str]) -> list[str]:
    return [name for name in names if "/" not in name or name.split("/")[0] not in names]


def _only(word: str, names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    listed = ", ".join(names[-_MOST_NAMED:])
    raise UsageError(f"{word!r} can mean {len(names)} runs: {listed}{more}. Type more of the name")


def _holds_signature(run: Run, word: str) -> bool:
    if not _SIGNATURE.fullmatch(word):
        return False
    return any(signature.startswith(word) for group in run.signatures.values() for signature in group)


def _nearest(word: str, names: list[str]) -> str:
    """Part of a message with the names most similar to ``word``, compared with and without the time in them."""
    untimed = {re.sub(r"^\d{8}-\d{6}-\d*-?", "", name): name for name in names}
    close = [*difflib.get_close_matches(word, names, n=3), *difflib.get_close_matches(word, untimed, n=3)]
    near = list(dict.fromkeys(untimed.get(name, name) for name in close))[:3] or names[-3:]
    return f"; the nearest are {', '.join(near)}" if near else ", and there is no other"
