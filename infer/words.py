"""Words of command lines that users type or that messages propose, and names of files."""

import os
import re
import shlex
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from infer.errors import UsageError

_HOME = re.compile(r"(?:(?<=^)|(?<=[,\[({:\s]))~(?=[\w./-]|$|[,\])}])[^,\])}'\"]*")
"""Pattern of a path that begins with ``~``, at the beginning of a value or of an entry in a value."""
_LONGEST_NAME = 120
_CONTROLS = ("Cc", "Cs", "Zl", "Zp")
"""Unicode categories of control characters, of surrogates, and of line and paragraph separators."""


def has_controls(text: str) -> bool:
    """True if ``text`` contains a character that names, paths and options should not have, such as a line break."""
    return any(unicodedata.category(character) in _CONTROLS for character in text)


def visible(text: str) -> str:
    """``text`` with control characters as escape sequences, for messages."""
    return "".join(ascii(each)[1:-1] if has_controls(each) else each for each in text)


def fault_of_name(text: str) -> str | None:
    """The reason why ``text`` cannot be the name of a file or folder, or a part of a name; None where it can."""
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
    """The first ``most`` of ``names`` and the number of others, as text."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{between.join(names[:most]) or 'nothing'}{more}"


def hydra_quoted(text: str) -> str:
    """``text`` with quotes and escapes where Hydra's grammar requires them."""
    if re.fullmatch(r"[\w/.-]+", text, re.ASCII):
        return text
    escaped = re.sub(r"(\\*)('|$)", lambda found: 2 * found[1] + ("\\'" if found[2] else ""), text)
    return f"'{escaped}'"


def expanded(path: str) -> str:
    """``path`` with ``$VARIABLES`` that are set, and a ``~`` at its beginning, replaced.

    Raises UsageError for an empty path, and for the home folder of an unknown user.
    """
    if not path.strip():
        raise UsageError("an empty path was given, perhaps from a variable that is not set. Type the path")
    replaced = os.path.expanduser(os.path.expandvars(path))
    if re.match("~[^/]", replaced):
        user = replaced[1:].partition("/")[0]
        raise UsageError(f"{visible(path)}: no user is called {visible(user)!r}. Type ~/... or ./~... (a folder)")
    return replaced


def variable_not_set(path: str) -> str | None:
    """The first variable in ``path`` that is not set; None where there is none."""
    left = re.search(r"\$(?:(\w+)|\{(\w+)\})", os.path.expandvars(path), re.ASCII)
    return None if left is None else left[1] or left[2]


def with_home_quoted(words: Iterable[str]) -> list[str]:
    """``words`` with quotes around every path in a value that begins with ``~``, which Hydra's grammar requires.

    Shells do not replace a ``~`` after ``key=``; this is done in the settings (``infer.config.resolve``).
    """
    return [_home_quoted(word) for word in words]


def _home_quoted(word: str) -> str:
    key, equals, value = word.partition("=")
    if word.startswith("-") or "~" not in value:
        return word
    pieces = re.split(r"""('(?:\\.|[^'])*'|"(?:\\.|[^"])*")""", value)  # every second piece is quoted already
    pieces[::2] = [_HOME.sub(lambda path: hydra_quoted(path[0]), piece) for piece in pieces[::2]]
    return f"{key}{equals}{''.join(pieces)}"


def shell_line(words: Iterable[str]) -> str:
    """``words`` as a command line to type into a shell."""
    return " ".join(f'"{word}"' if _fits_double_quotes(word) else shlex.quote(word) for word in words)


def _fits_double_quotes(word: str) -> bool:
    """True if ``word`` contains single quotes, and no character that is special to shells inside double quotes."""
    return "'" in word and not re.search(r'[$`\\"!]', word)


def launch_command(words: Iterable[str]) -> str:
    """The command line that runs ``launch.py`` with ``words``."""
    plain = (re.sub(r"'(~[\w/.-]*)'", r"\1", word) for word in words)  # launch.py adds quotes around ~ itself
    return f"python launch.py {shell_line(plain)}".rstrip()


def config_flags(sources: Iterable[Any], config_name: str | None) -> list[str]:
    """The flags ``--config-dir`` and ``--config-name`` with which a run was started, from Hydra's ``sources``."""
    typed = [source.path.removeprefix("file://") for source in sources if source.provider == "command-line"]
    flags = [word for folder in typed for word in ("--config-dir", folder)]
    return flags + (["--config-name", config_name] if config_name not in (None, "config") else [])
