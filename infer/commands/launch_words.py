"""Words after ``launch.py`` that commands add: the folder for the outputs of a run, and the distilled set to import."""

from pathlib import Path

from infer.config.presets import conf_folder
from infer.data.paths import expand
from infer.distilled.manifest import infer_folder, lists, read_manifest
from infer.errors import UsageError
from infer.records.find import pick_run
from infer.records.names import LABELS
from infer.words import hydra_quoted


def outputs_words(outputs: Path) -> list[str]:
    """The word that sets ``outputs``; none where it is the default."""
    return [] if outputs == Path("outputs") else [f"outputs={hydra_quoted(str(outputs))}"]


def launch_words(path: Path, overrides: list[str], command: str = "infer evaluate") -> list[str]:
    """Words to type after ``launch.py`` for the set at ``path``, with its data set if necessary, and ``overrides``.

    Raises UsageError, with ``command`` to type, where neither the overrides nor the manifest name the data set.
    """
    if not path.exists():
        raise UsageError(f"{path} does not exist. Give the folder or file of a distilled set")
    words = ["method=imported", f"method.path={hydra_quoted(str(path))}"]
    given = {word.partition("=")[0] for word in overrides}
    folder = infer_folder(path)
    if "dataset" not in given:
        words.append(f"dataset={_dataset_of(path, folder, command)}")
    if folder is not None and "ipc" not in given:
        words.append(f"ipc={max(1, round(read_manifest(folder)['ipc_charged']))}")
    return [*words, *overrides]


def label_hint(path: Path, words: list[str]) -> str | None:
    """Hint on how to use the labels that are stored with the set; None without labels or where ``words`` set them."""
    folder = infer_folder(path)
    mode = _mode_of_stored_labels(folder) if folder is not None else None
    if mode is None or any(word.startswith("labeling.") for word in words):
        return None
    return f"this set comes with labels, on which other students can be trained: labeling={mode} labeling.source=set"


def _mode_of_stored_labels(folder: Path) -> str | None:
    from infer.distilled.fkd_folder import holds_fkd_labels  # torch takes seconds

    manifest = read_manifest(folder)
    if lists(manifest, LABELS):
        return "static"
    return "fkd" if holds_fkd_labels(manifest) else None


def path_of(word: str, outputs: Path) -> Path:
    """The path ``word``, or the folder of the run that it names."""
    path = expand(word)
    return path if path.exists() or "/" in word else pick_run(word, outputs).folder.absolute()


def _dataset_of(path: Path, folder: Path | None, command: str) -> str:
    choices = sorted(preset.stem for preset in (conf_folder() / "dataset").glob("*.yaml"))
    name: str | None = read_manifest(folder)["dataset"]["name"] if folder is not None else None
    if name in choices:
        return name
    told = (
        f"comes from the data set {name!r}, and there is no choice of that name"
        if name
        else "does not say which data set it comes from"
    )
    raise UsageError(f"{path} {told}. Type {command} {path} dataset=<name>, one of {', '.join(choices)}")
