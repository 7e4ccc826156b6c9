"""Snapshot of a sweep's settings and code when it was submitted, for jobs that may start hours later."""

import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from hydra.core.config_loader import ConfigLoader

import infer
from infer.config.presets import conf_folder
from infer.errors import UsageError

_MOST_BYTES = 20 * 10**6
_LEFT_OUT = ("__pycache__", ".git")
_MAIN, _TYPED = "main", "command-line"
"""Hydra's names for the origins of a folder of settings: the program, and ``--config-dir``."""


def take(snapshot: Path, loader: ConfigLoader) -> None:
    """Copy the package and the folders of settings to the folder ``snapshot``, and let ``loader`` read the copies.

    Hydra's launcher passes ``loader`` to the jobs, which compose their settings with it when they start. Raises
    UsageError where the copies would be larger than code and settings can be, and where there is a snapshot already.
    """
    from infer.environment import COMMIT_FILE, git_commit  # imports torch

    _require_small(_originals(loader))
    snapshot = snapshot.absolute()
    if snapshot.exists():
        raise UsageError(
            f"{snapshot} belongs to a sweep that was submitted before. Give another folder: hydra.sweep.dir=..."
        )
    copies = dict(zip(_originals(loader), _places(snapshot, loader), strict=True))
    for original, copy in copies.items():
        shutil.copytree(original, copy, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    (snapshot / COMMIT_FILE).write_text(git_commit() or "")
    for source in [*loader.repository.sources, *loader.get_search_path().get_path()]:  # type: ignore[attr-defined] # Hydra's only loader has it
        given = Path(str(source.path).removeprefix("file://"))
        if source.provider in (_MAIN, _TYPED) and given in copies:
            source.path = str(source.path).replace(str(given), str(copies[given]))


def setup_of_job(snapshot: Path) -> list[str]:
    """Shell commands by which a job imports the package of the snapshot, or ends with a message where it is missing."""
    place = shlex.quote(str(snapshot.absolute()))
    gone = shlex.quote(f"infer: {snapshot} is gone, and without it this job cannot run as it was submitted")
    return [
        f"if [ ! -f {place}/infer/__init__.py ]; then echo {gone} >&2; exit 1; fi",
        f'export PYTHONPATH={place}$([ -z "$PYTHONPATH" ] || echo ":$PYTHONPATH")',  # Hydra would interpret braces
        "export PYTHONSAFEPATH=1  # else Python looks into the current folder first, which may be a checkout",
    ]


def _require_small(folders: list[Path]) -> None:
    sizes = {path: path.stat().st_size for folder in folders for path in _files(folder)}
    total = sum(sizes.values())
    if total > _MOST_BYTES:
        largest = max(sizes, key=lambda path: sizes[path])
        raise UsageError(
            f"a snapshot of settings and code would be {total / 1e6:.0f} MB, and at most {_MOST_BYTES / 1e6:.0f} MB "
            f"are kept with a sweep; the largest file is {largest}. Move it elsewhere, or type cluster.snapshot=false"
        )


def _originals(loader: ConfigLoader) -> list[Path]:
    """Folders to copy: the package, and the folders of settings that are not in it."""
    package, shipped = Path(infer.__file__).resolve().parent, conf_folder()
    return [package, *([] if shipped.is_relative_to(package) else [shipped]), *_typed_folders(loader)]


def _places(snapshot: Path, loader: ConfigLoader) -> list[Path]:
    """Folders of the copies of ``_originals``, in the same order; ``conf`` is beside the package."""
    shipped = [] if conf_folder().is_relative_to(Path(infer.__file__).resolve().parent) else [snapshot / "conf"]
    typed = [snapshot / f"config-dir-{number}" for number, _ in enumerate(_typed_folders(loader))]
    return [snapshot / "infer", *shipped, *typed]


def _typed_folders(loader: ConfigLoader) -> list[Path]:
    sources = loader.get_sources()
    return [Path(source.path) for source in sources if source.provider == _TYPED and source.scheme() == "file"]


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name in _LEFT_OUT:
            continue
        if path.is_dir():
            yield from _files(path)
        elif path.is_file():
            yield path
