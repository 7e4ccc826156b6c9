"""Exit codes: every error ends the program with one line on stderr and a code.

2 for a usage error, 1 for a run that failed, 130 for Ctrl-C, 128 + its number for another signal; HYDRA_FULL_ERROR=1
shows the traceback instead.
"""

import contextlib
import difflib
import os
import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import fields, is_dataclass

from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from infer.cluster import optional_packages
from infer.errors import INTERRUPTED, InferError, UsageError, describe
from infer.interruption import Terminated

FULL_ERROR = "HYDRA_FULL_ERROR"
_OURS = "INFER_SET_HYDRA_FULL_ERROR"
"""Set when this program, not a person, has asked Hydra for its errors."""
_wants_traceback = os.environ.get(FULL_ERROR) == "1" and _OURS not in os.environ


def exit_code_of(launch: Callable[[], int | None]) -> int:
    """Run ``launch`` (a function decorated by Hydra, or one that returns a code) and return the process's exit code."""
    if not _wants_traceback:
        os.environ[_OURS] = "1"  # processes that this one starts decide for themselves
    os.environ[FULL_ERROR] = "1"  # Hydra then lets its own errors through instead of printing them and exiting
    try:
        return launch() or 0
    except KeyboardInterrupt as interruption:
        return _report_interruption(interruption)
    except (HydraException, OmegaConfBaseException) as error:
        return _report(UsageError(explain(error)), error)
    except Exception as error:
        return _report(error, error)


def leave_on_error(work: Callable[[], object], keep_going: bool = False) -> None:
    """Run ``work`` inside Hydra's job; on an error print its line and leave the process with the right code.

    With ``keep_going``, as a sweep needs it, the process stays: the other jobs run.
    """
    try:
        work()
    except KeyboardInterrupt as interruption:
        sys.exit(_report_interruption(interruption))
    except Exception as error:
        if keep_going and _wants_traceback:
            traceback.print_exc()
            return
        code = _report(error, error)
        if not keep_going:
            sys.exit(code)


def _report_interruption(interruption: KeyboardInterrupt) -> int:
    with contextlib.suppress(OSError):  # a terminal that was closed
        print("\nInterrupted. What was finished is kept; the same command goes on from there.", file=sys.stderr)
    return interruption.exit_code if isinstance(interruption, Terminated) else INTERRUPTED


def _report(shown: Exception, cause: Exception) -> int:
    if _wants_traceback:
        raise cause
    print(f"infer: {describe(shown)}", file=sys.stderr)
    return shown.exit_code if isinstance(shown, InferError) else 1


def explain(error: Exception) -> str:
    """A Hydra or OmegaConf error in one line: what was given, what is allowed, what to type."""
    text = str(error)
    if found := re.search(r"Could not override '([^']+)'", text):
        return _unknown_key(found[1], error)
    if found := re.search(r"Could not find '(.+)/([^/']+)'\s+Available options in '[^']+':\s+((?:\t\S+\n?)+)", text):
        if found[2] in optional_packages.EXTRA_OF_LAUNCHER:
            return optional_packages.missing(optional_packages.EXTRA_OF_LAUNCHER[found[2]])
        if found[1] == "method/settings" and (of_method := re.search(r"In 'method/([^']+)'", text)):
            return _no_settings(of_method[1], found[2], found[3].split())
        return _unknown_option(found[1], found[2], found[3].split())
    if found := re.search(r"You must specify '(\w+)'.*\s+Available options:\s+((?:\t\S+\n?)+)", text):
        return _missing_option(found[1], found[2].split())
    if error.__cause__ is not None:
        text += f"\n{error.__cause__}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    kept = [line for line in lines if not re.match(r"(full_key|object_type|reference_type|See https)", line)]
    message = "; ".join(kept).replace("Error merging override ", "")
    return f"{message}. All settings and choices: python launch.py --help"


def _unknown_key(key: str, error: Exception) -> str:
    owner = getattr(error.__cause__, "object_type", None)
    if owner is dict:
        return f"{key} is not set yet. Type +{key}=<value>"
    group, _, name = key.rpartition(".")
    allowed = sorted(field.name for field in fields(owner)) if is_dataclass(owner) else []
    message = f"{key} is not a setting"
    if allowed:
        message += f"; {group or 'the top level'} has {', '.join(allowed)}"
    if group == "method" and (methods := _methods_with(name)):
        return f"{message}. It is one of method={', method='.join(methods)}: leave it out, or choose that method"
    nearest = difflib.get_close_matches(name, allowed, n=1)
    prefix = f"{group}." if group else ""
    return f"{message}. " + (f"Type {prefix}{nearest[0]}=<value>" if nearest else "See python launch.py --help")


def _methods_with(setting: str) -> list[str]:
    """The methods that have the ``setting``, by the names of their schemas."""
    store, folder = ConfigStore.instance(), "schema/method"
    schemas = {file: OmegaConf.get_type(store.load(f"{folder}/{file}").node) for file in store.list(folder)}
    return [file.removesuffix(".yaml") for file, schema in schemas.items() if hasattr(schema, setting)]


def _unknown_option(group: str, name: str, options: list[str]) -> str:
    nearest = difflib.get_close_matches(name, options, n=1) or options[:1]
    return f"{group}={name} is not a choice; there are {', '.join(options)}. Type {group}={nearest[0]}"


def _missing_option(group: str, options: list[str]) -> str:
    return f"{group} must be given; there are {', '.join(options)}. Type {group}={options[0]}"


def _no_settings(method: str, option: str, options: list[str]) -> str:
    """A method without settings for the run's family of data sets, whose options are ``<method>_<family>``."""
    own = f"{method}_"
    families = [each.removeprefix(own) for each in options if each.startswith(own)]
    return (
        f"method={method} has no settings for family={option.removeprefix(own)}, only for {', '.join(families)}. "
        f"Type family={families[0]}, or write a file method/settings/{option}.yaml"
    )
