"""The folder of presets, ``conf/``, and the presets that are sections of one file instead of files of their own."""

import importlib.util
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from infer.errors import UsageError
from infer.words import shell_line

SETTINGS = "method/settings"
"""Config group of a method's settings for a family of data sets, ``<method>_<family>``; also the folder of its
files."""
EXCEPTIONS = "method/exceptions"
"""Config group of the changes that one data set makes to these settings, ``<method>_<dataset>``."""
_GROUP_OF_PART = {"families": SETTINGS, "exceptions": EXCEPTIONS}
VARIANT = "variant"
"""Config group of changes to a whole run."""
_VARIANTS_FILE = "variants.yaml"
_SEARCH_PATH = "hydra.searchpath"
OF_WHOLE_CONFIG = ("user", "experiment", "sweep", VARIANT)
"""Groups whose files set keys of the whole config; several options of such a group can be combined."""


def conf_folder() -> Path:
    """The ``conf/`` of the checkout or, where there is no checkout, the copy inside the installed package."""
    package = Path(__file__).resolve().parents[1]
    checkout = package.parent / "conf"
    return checkout if (checkout / "config.yaml").is_file() else package / "conf"


def command_that_measures(table: str) -> str | None:
    """The command line of the preset whose first lines name ``table`` of ``infer results``; None where none does.

    Of several presets it is that of the one called like the table.
    """
    named = re.compile(rf"^#.*`infer results {re.escape(table)}`", re.MULTILINE)
    presets = sorted(conf_folder().rglob("*.yaml"), key=lambda path: (path.stem != table, path))
    naming = (text for path in presets if named.search(text := path.read_text(encoding="utf-8", errors="replace")))
    command = re.search(r"^#   (python launch\.py .+?)(?:    #.*)?$", next(naming, ""), re.MULTILINE)
    return command[1] if command else None


def check_choices(words: Iterable[str]) -> None:
    """Refuse ``group=null``, for which Hydra prints a traceback, and several options of a group, which it would merge.

    Groups in ``OF_WHOLE_CONFIG`` may have several options.
    """
    groups = {path.name for path in conf_folder().iterdir() if path.is_dir()} | {VARIANT}
    for group, _, value in (word.lstrip("+").partition("=") for word in words):
        if group in groups and value.strip().lower() == "null":
            raise UsageError(
                f"{group}=null is not a choice. Leave it out, or type {group}=<choice>: python launch.py --help"
            )
        if group in groups.difference(OF_WHOLE_CONFIG) and value.startswith("[") and "," in value:
            raise UsageError(several_choices(group))


def searched_folders(words: Iterable[str]) -> list[Path]:
    """The folders that ``hydra.searchpath`` names in ``words``.

    Raises UsageError for a folder or a package that does not exist, for which Hydra only prints a warning.
    """
    folders = []
    for word, place in _searched_places(words):
        scheme, separator, path = place.rpartition("://")
        if scheme == "pkg":
            reason = None if _is_package(path) else f"there is no package {path!r}"
        elif scheme == "file" or not separator:
            reason = None if path and Path(path).is_dir() else f"there is no folder {path!r}"
            folders.append(Path(path))
        else:
            reason = f"{scheme}:// is neither file:// nor pkg://"
        if reason:
            raise UsageError(
                f"{word} is not possible: {reason}. Type the folder of your presets, "
                "'hydra.searchpath=[file:///path/to/them]', or leave it out"
            )
    return folders


def _searched_places(words: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Pairs (word, place) for every place of presets that ``words`` name; Hydra refuses values that are no lists."""
    given = [word for word in words if word.lstrip("+").startswith(f"{_SEARCH_PATH}=")]
    if not given:
        return
    from hydra.core.override_parser.overrides_parser import OverridesParser  # slow to import

    for word, override in zip(given, OverridesParser.create().parse_overrides(given), strict=True):
        places = override.value()
        if isinstance(places, list):
            yield from ((word, place) for place in places if isinstance(place, str))


def _is_package(path: str) -> bool:
    """True if ``path`` names a package in Hydra's notation, where ``a/b`` is ``a.b``."""
    try:
        spec = importlib.util.find_spec(path.replace("/", ".").rstrip("."))
    except (ImportError, ValueError):
        return False
    return spec is not None and Path(spec.origin or "").name == "__init__.py"


def several_choices(group: str) -> str:
    """The message for several options of a config group that takes one."""
    return f"{group} takes one choice, and several were given. Type -m {group}=a,b for a run of each"


def check_own_presets(folder: Path) -> None:
    """Refuse presets in ``folder`` that Hydra would ignore silently, or that cannot be read.

    It ignores files that end in ``.yml``, and reads a shipped preset in place of one of the same name in
    ``--config-dir``.
    """
    shipped = conf_folder()
    groups = [group.relative_to(shipped) for group in (shipped, *shipped.rglob("*/")) if group.is_dir()]
    for path in (path for group in groups for path in sorted((folder / group).glob("*.y*ml")) if path.is_file()):
        name = path.relative_to(folder)
        if path.suffix == ".yml":
            renamed = shell_line(["mv", str(path), str(path.with_suffix(".yaml"))])
            raise UsageError(f"{path} is not read: presets end in .yaml. Type {renamed}")
        content = path.read_bytes()
        original = shipped / name
        if original.is_file() and original.read_bytes() != content:
            raise UsageError(
                f"{path} has the name of a preset of this program, which is read instead. Give it another name"
            )
        try:
            content.decode()
        except UnicodeDecodeError as error:
            raise UsageError(f"{path} is not UTF-8 ({error.reason} at byte {error.start}). Save it as UTF-8") from error


def register_sections() -> None:
    """Register each section of the files of related presets as an option, as if it were a file of its own.

    Thus one file holds a method's published settings for all data sets, and another all variants of the ablations.
    """
    store = ConfigStore.instance()
    for path in sorted((conf_folder() / SETTINGS).glob("*.yaml")):
        for part, group in _GROUP_OF_PART.items():
            for name, section in _sections(path).get(part, {}).items():
                provider = f"{path.name}, {part}.{name}"
                store.store(group=group, name=f"{path.stem}_{name}", node=section, provider=provider)
    for name, section in variants().items():
        store.store(group=VARIANT, name=str(name), node=section, package="_global_", provider=_VARIANTS_FILE)


def variants() -> DictConfig:
    """The options of the group ``variant``, which are the sections of one file."""
    return _sections(conf_folder() / _VARIANTS_FILE)


def _sections(path: Path) -> DictConfig:
    sections = OmegaConf.load(path)
    assert isinstance(sections, DictConfig), f"{path} holds no sections"
    return sections
