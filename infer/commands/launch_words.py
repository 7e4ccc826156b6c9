"""``infer evaluate``: the command line of ``launch.py`` that trains students on a distilled set."""

import argparse
import re
import shlex
import sys
from pathlib import Path
from typing import NoReturn

from infer import cli
from infer.config.presets import conf_folder
from infer.data.paths import expand
from infer.distilled.fkd import holds_fkd_labels
from infer.distilled.folder import infer_folder, read_manifest
from infer.errors import UsageError
from infer.records.find import pick_run
from infer.records.names import LABELS


def evaluate_set(options: argparse.Namespace) -> NoReturn:
    """Run ``launch.py method=imported method.path=...``; leaves the process as launch.py does."""
    path = _path_of(str(options.path), options.outputs)
    words = launch_words(path, options.settings)
    if options.outputs != Path("outputs"):
        words.append(f"outputs={_quoted(str(options.outputs))}")
    print(f"python launch.py {shlex.join(words)}")
    if hint := label_hint(path, words):
        print(hint)
    sys.argv = ["launch.py", *words]
    cli.main()
    raise AssertionError("cli.main leaves the process")


def launch_words(path: Path, overrides: list[str]) -> list[str]:
    """Words to type after ``launch.py``: the set, its data set where the manifest says one, and ``overrides``.

    Raises UsageError when nothing says which data set it is.
    """
    if not path.exists():
        raise UsageError(f"{path} does not exist. Give the folder or file of a distilled set")
    words = ["method=imported", f"method.path={_quoted(str(path))}"]
    given = {word.partition("=")[0] for word in overrides}
    folder = infer_folder(path)
    if "dataset" not in given:
        words.append(f"dataset={_dataset_of(path, folder)}")
    if folder is not None and "ipc" not in given:
        words.append(f"ipc={max(1, round(read_manifest(folder)['ipc_charged']))}")
    return [*words, *overrides]


def label_hint(path: Path, words: list[str]) -> str | None:
    """Words to type so that students learn the labels that lie with the set; None where there are none, or they are."""
    folder = infer_folder(path)
    mode = _mode_of_stored_labels(folder) if folder is not None else None
    if mode is None or any(word.startswith("labeling.") for word in words):
        return None
    return f"labels lie with this set, for other students to learn: labeling={mode} labeling.source=set"


def _mode_of_stored_labels(folder: Path) -> str | None:
    if (folder / f"{LABELS}.safetensors").is_file():
        return "static"
    return "fkd" if holds_fkd_labels(folder) else None


def _path_of(word: str, outputs: Path) -> Path:
    """The path that ``word`` is, or the folder of the run that it names."""
    path = expand(word)
    return path if path.exists() or "/" in word else pick_run(word, outputs).folder.absolute()


def _dataset_of(path: Path, folder: Path | None) -> str:
    choices = sorted(preset.stem for preset in (conf_folder() / "dataset").glob("*.yaml"))
    name: str | None = read_manifest(folder)["dataset"]["name"] if folder is not None else None
    if name in choices:
        return name
    told = (
        f"is of the data set {name!r}, which is no choice by that name"
        if name
        else "does not say which data set it is of"
    )
    raise UsageError(f"{path} {told}. Type infer evaluate {path} dataset=<name>, one of {', '.join(choices)}")


def _quoted(text: str) -> str:
    """``text`` as Hydra takes it, whatever it holds."""
    if re.fullmatch(r"[\w/.-]+", text, re.ASCII):
        return text
    escaped = re.sub(r"(\\*)('|$)", lambda found: 2 * found[1] + ("\\'" if found[2] else ""), text)
    return f"'{escaped}'"
