"""Every command in a README or a preset's header is one that the program accepts."""

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

import pytest

from infer.commands.main import parse

ROOT = Path(__file__).resolve().parents[1]
READMES = [ROOT / "README.md", *(ROOT / "infer").rglob("*.md"), *(ROOT / "tests").rglob("*.md")]
PRESETS = list((ROOT / "conf").rglob("*.yaml"))

_LAUNCH = r"(?P<command>python launch\.py(?! --config-dir)[^\n`|]*)"
"""Presets of another folder are tested where they are written: tests/methods/test_adding_a_method.py."""
_INFER = r"^(?:\$|\s*) *(?P<command>infer [a-z]+\b[^\n`|]*)"
_BENCHMARK = r"(?P<command>python tests/[^\n`|,]*)"


def _commands(pattern: str, files: Iterable[Path]) -> list[str]:
    """Commands that match ``pattern``, without comments."""
    found = [match["command"] for file in files for match in re.finditer(pattern, file.read_text(), re.MULTILINE)]
    return sorted({command.split(" #")[0].strip() for command in found})


def _settings(words: Iterable[str]) -> list[str]:
    """The overrides among ``words``; of a swept key, its first value."""
    settings = [word for word in words if "=" in word]
    single = [re.sub(r"^([^=]+=[^,\[\]]+),[^\[\]]*$", r"\1", word) for word in settings]
    single = [re.sub(r"=range\(.*\)$", "=0", word) for word in single]
    return [re.sub(r"=(~|<).*$", "=somewhere", word) for word in single]


def test_there_are_commands():
    assert len(READMES) > 6
    assert len(_commands(_LAUNCH, READMES)) > 30
    assert len(_commands(_INFER, READMES)) > 15
    assert len(_commands(_BENCHMARK, READMES)) > 4


@pytest.mark.parametrize("command", _commands(_LAUNCH, [*READMES, *PRESETS]))
def test_every_launch_command_resolves(resolved, command):
    resolved(*_settings(shlex.split(command)[2:]))


@pytest.mark.parametrize("command", _commands(_INFER, READMES))
def test_every_infer_command_is_parsed_and_its_settings_resolve(resolved, command):
    words = shlex.split(re.sub(r"<[^>]*>", "PLACE", command))
    options = vars(parse(words[1:]))
    if options.get("config"):  # infer diff --config
        for line in options["pair"]:
            resolved(*line.split())
    if "settings" in options:  # infer evaluate
        resolved("method=imported", "method.path=PLACE", *_settings(options["settings"]))


@pytest.mark.parametrize("command", _commands(_BENCHMARK, READMES))
def test_every_benchmark_has_its_options(command):
    script, *words = command.split()[1:]
    source = (ROOT / script).read_text()
    for option in (word for word in words if word.startswith("--")):
        assert f'"{option}"' in source, option
