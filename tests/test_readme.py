"""Every command in the README and in the presets' headers adds up to settings that pass their checks."""

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def _commands() -> list[str]:
    texts = [ROOT / "README.md", *(ROOT / "conf").rglob("*.yaml")]
    found = [line for text in texts for line in re.findall(r"python launch\.py[^\n`|]*", text.read_text())]
    return sorted({line.split("#")[0].strip() for line in found})


def _words(command: str) -> list[str]:
    """The overrides of a command; of a swept key, its first value."""
    words = [word for word in shlex.split(command)[2:] if "=" in word]
    plain = [re.sub(r"^([^=]+=[^,\[\]]+),[^\[\]]*$", r"\1", word) for word in words]
    plain = [re.sub(r"=range\(.*\)$", "=0", word) for word in plain]
    return [re.sub(r"=(~|<).*$", "=somewhere", word) for word in plain]


def test_there_are_commands():
    assert len(_commands()) > 10


@pytest.mark.parametrize("command", _commands())
def test_every_documented_command_resolves(resolved, command):
    resolved(*_words(command))
