"""Every command in a README, a preset's header or the help is one that shells and the program accept as it is typed.

Every link leads to a file, and to a heading of it.
"""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode

from infer import help
from infer.commands.main import parse
from infer.methods.registry import register_all
from infer.sweep.search import Space
from infer.words import with_home_quoted

ROOT = Path(__file__).resolve().parents[1]
READMES = [ROOT / "README.md", *(ROOT / "infer").rglob("*.md"), *(ROOT / "tests").rglob("*.md")]
PRESETS = list((ROOT / "conf").rglob("*.yaml"))
HELP = ROOT / "infer" / "help.py"

_LAUNCH = r"(?P<command>python launch\.py(?! --config-dir)[^\n`|]*)"
"""Presets of another folder are tested where they are written: tests/methods/test_adding_a_method.py."""
_INFER = r"^(?:\$|\s*) *(?P<command>infer [a-z]+\b[^\n`|]*)"
_BENCHMARK = r"(?P<command>python tests/[^\n`|,]*)"


def _commands(pattern: str, files: Iterable[Path]) -> list[str]:
    """Commands that match ``pattern``, without comments."""
    found = [match["command"] for file in files for match in re.finditer(pattern, file.read_text(), re.MULTILINE)]
    return sorted({re.split(r"\s#|\s{3}", command)[0].strip() for command in found})


def _filled(command: str) -> str:
    """``command`` with words for its placeholders: ``<folder with train/ and test/>``."""
    return re.sub(r"<[^>]*>", "PLACE", command)


def _first_job(words: Iterable[str]) -> list[str]:
    """The settings of the run that the words after ``launch.py`` start, of several runs those of the first."""
    settings = with_home_quoted(word for word in words if "=" in word and not word.startswith("-"))
    overrides = OverridesParser.create().parse_overrides(settings)
    fixed = [word for word, override in zip(settings, overrides, strict=True) if not override.is_sweep_override()]
    if len(fixed) == len(settings):
        return settings
    register_all()
    with initialize_config_dir(config_dir=str(ROOT / "conf"), version_base="1.3"):
        mode = compose("config", overrides=fixed, return_hydra_config=True).hydra.mode
    assert mode is RunMode.MULTIRUN or {"-m", "--multirun"} & {*words}, "several values, and no sweep"
    if any(override.is_interval_sweep() for override in overrides):  # a search
        return Space.of(overrides).corners()[0]
    return BasicSweeper.split_arguments(overrides, None)[0][0]


def _blocks(files: Iterable[Path]) -> list[str]:
    """The blocks of shell commands."""
    found = (
        re.findall(r"^```(?:bash|sh|shell|zsh)\n(.*?)^```", file.read_text(), re.MULTILINE | re.DOTALL)
        for file in files
    )
    return [block for blocks in found for block in blocks]


_COMMANDS = [_LAUNCH, _INFER, _BENCHMARK]


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_shells_can_read_every_command(shell):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    for text in (
        *_blocks(READMES),
        *(c for pattern in _COMMANDS for c in _commands(pattern, [*READMES, *PRESETS, HELP])),
    ):
        finished = subprocess.run([shell, "-n"], input=_filled(text), capture_output=True, text=True)
        assert (finished.returncode, finished.stderr) == (0, ""), text


@pytest.mark.parametrize("pattern", _COMMANDS)
def test_no_shell_looks_for_files_in_a_command(pattern):
    """zsh refuses words with unquoted brackets that match no file, bash takes the files where there are some."""
    for command in _commands(pattern, [*READMES, *PRESETS, HELP]):
        unquoted = re.sub(r"'[^']*'|\"[^\"]*\"", "", _filled(command))
        assert not re.search(r"[\[\](){}*?$;&]", unquoted), command


def test_there_are_commands():
    assert len(READMES) > 6
    assert len(_commands(_LAUNCH, READMES)) > 30
    assert len(_commands(_INFER, READMES)) > 15
    assert len(_commands(_BENCHMARK, READMES)) > 4


def test_the_help_has_commands():
    register_all()
    assert help.text(ROOT / "conf", []).count("python launch.py") == len(_commands(_LAUNCH, [HELP])) > 5


@pytest.mark.parametrize("command", _commands(_LAUNCH, [*READMES, *PRESETS, HELP]))
def test_every_launch_command_resolves_as_typed(resolved, command):
    resolved(*_first_job(shlex.split(_filled(command))[2:]))


@pytest.mark.parametrize("command", _commands(_INFER, READMES))
def test_every_infer_command_is_parsed_and_its_settings_resolve(resolved, command):
    words = shlex.split(_filled(command))
    options = vars(parse(words[1:]))
    if options.get("config"):  # infer diff --config
        for line in options["pair"]:
            resolved(*line.split())
    if "settings" in options:  # infer evaluate
        resolved("method=imported", "method.path=PLACE", *_first_job(options["settings"]))


@pytest.mark.parametrize("command", _commands(_BENCHMARK, READMES))
def test_every_benchmark_has_its_options(command):
    script, *words = command.split()[1:]
    source = (ROOT / script).read_text()
    for option in (word for word in words if word.startswith("--")):
        assert f'"{option}"' in source, option


@pytest.mark.parametrize("page", READMES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
