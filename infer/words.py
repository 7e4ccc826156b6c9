"""Words of command lines, typed or printed to be typed, and names of files."""

import os
import re
import shlex
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from infer.errors import UsageError

_HOME = re.compile(r"(?:(?<=^)|(?<=[,\[({:\s]))~(?=[\w./-]|$|[,\])}])[^,\])}'\"]*")
"""A path that begins with ``~``, where a value or an entry of one begins."""
_LONGEST_NAME = 120
_CONTROLS = ("Cc", "Cs", "Zl", "Zp")
"""Unicode's categories of control characters, of halves of a character, and of breaks of lines and paragraphs."""


def has_controls(text: str) -> bool:
    """True if ``text`` holds a character that no name, path or option holds on purpose: a line break, an escape."""
    return any(unicodedata.category(character) in _CONTROLS for character in text)


def visible(text: str) -> str:
    """``text`` with its control characters written out, for messages."""
    return "".join(ascii(each)[1:-1] if has_controls(each) else each for each in text)


def fault_of_name(text: str) -> str | None:
    """The reason why ``text`` cannot be the name of one file or folder, or a part of it; None where it can."""
    if not text.strip():
        return "it is empty"
    if has_controls(text):
        return "it holds a control character"
    if "/" in text or "\\" in text:
        return "it holds a slash"
    if text.startswith(".") or text != text.strip():
        return "it begins with a dot, or begins or ends with a space"
    if len(text.encode()) > _LONGEST_NAME:
        return f"it is longer than {_LONGEST_NAME} bytes"
    return None


def some(names: Sequence[str], most: int = 5, between: str = ", ") -> str:
    """The first of ``names``, ``most`` of them at most, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{between.join(names[:most]) or 'nothing'}{more}"


def hydra_quoted(text: str) -> str:
    """``text`` as Hydra takes it, whatever it holds."""
    if re.fullmatch(r"[\w/.-]+", text, re.ASCII):
        return text
    escaped = re.sub(r"(\\*)('|$)", lambda found: 2 * found[1] + ("\\'" if found[2] else ""), text)
    return f"'{escaped}'"


def expanded(path: str) -> str:
    """``path`` with ``$VARIABLES`` that are set and a ``~`` at its beginning replaced.

    Raises UsageError for an empty path, and for the home folder of a user that there is not.
    """
    if not path.strip():
        raise UsageError("an empty path was given, perhaps of a variable that is not set. Type the path")
    replaced = os.path.expanduser(os.path.expandvars(path))
    if re.match("~[^/]", replaced):
        user = replaced[1:].partition("/")[0]
        raise UsageError(f"{visible(path)}: no user is called {visible(user)!r}. Type ~/... or ./~... (a folder)")
    return replaced


def variable_not_set(path: str) -> str | None:
    """The first ``$VARIABLE`` that is left in ``path``; None where all are set, or none is there."""
    left = re.search(r"\$(?:(\w+)|\{(\w+)\})", os.path.expandvars(path), re.ASCII)
    return None if left is None else left[1] or left[2]


def with_home_quoted(words: Iterable[str]) -> list[str]:
    """``words`` with every path of a value that begins with ``~`` in quotes, as which Hydra's grammar takes it.

    No shell replaces a ``~`` after ``key=``; the settings do it (``infer.config.resolve``).
    """
    return [_home_quoted(word) for word in words]


def _home_quoted(word: str) -> str:
    key, equals, value = word.partition("=")
    if word.startswith("-") or "~" not in value:
        return word
    pieces = re.split(r"""('(?:\\.|[^'])*'|"(?:\\.|[^"])*")""", value)  # every second one is quoted already
    pieces[::2] = [_HOME.sub(lambda path: hydra_quoted(path[0]), piece) for piece in pieces[::2]]
    return f"{key}{equals}{''.join(pieces)}"


def shell_line(words: Iterable[str]) -> str:
    """``words`` as the command line that a person types into a shell."""
    return " ".join(f'"{word}"' if _fits_double_quotes(word) else shlex.quote(word) for word in words)


def _fits_double_quotes(word: str) -> bool:
    """True if ``word`` holds single quotes, and nothing that a shell acts on inside double ones."""
    return "'" in word and not re.search(r'[$`\\"!]', word)


def launch_command(words: Iterable[str]) -> str:
    """The command line that runs ``launch.py`` with ``words``."""
    plain = (re.sub(r"'(~[\w/.-]*)'", r"\1", word) for word in words)  # launch.py quotes what begins with ~ itself
    return f"python launch.py {shell_line(plain)}".rstrip()


def config_flags(sources: Iterable[Any], config_name: str | None) -> list[str]:
    """The flags ``--config-dir`` and ``--config-name`` that a run was started with; ``sources`` are Hydra's."""
    typed = [source.path.removeprefix("file://") for source in sources if source.provider == "command-line"]
    flags = [word for folder in typed for word in ("--config-dir", folder)]
    return flags + (["--config-name", config_name] if config_name not in (None, "config") else [])
