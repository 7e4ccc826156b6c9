"""Exit codes: every error ends the program with one line on stderr and a code.

The code is 2 for a usage error, 1 for a run that failed, 130 for Ctrl-C, and 128 + its number for another signal. With
HYDRA_FULL_ERROR=1 the traceback is shown in place of the line.
"""

import contextlib
import os
import sys
import traceback
from collections.abc import Callable

from infer.console import printing
from infer.errors import INTERRUPTED, UsageError, describe, exit_code_for
from infer.explanations import FOREIGN, explain
from infer.interruption import Terminated
from infer.ranks import LostRank, last_words
from infer.words import visible

FULL_ERROR = "HYDRA_FULL_ERROR"
_SET_HERE = "INFER_SET_HYDRA_FULL_ERROR"
"""Environment variable that is set if HYDRA_FULL_ERROR was set by this program and not by the user."""
_wants_traceback = os.environ.get(FULL_ERROR) == "1" and _SET_HERE not in os.environ


def exit_code_of(launch: Callable[[], int | None]) -> int:
    """Run ``launch`` (a function decorated by Hydra, or one that returns a code) and return the process's exit code."""
    if not _wants_traceback:
        os.environ[_SET_HERE] = "1"  # for processes that this one starts, which would show tracebacks otherwise
    os.environ[FULL_ERROR] = "1"  # Hydra then raises its own errors instead of printing them and exiting
    try:
        return printing(launch)
    except KeyboardInterrupt as interruption:
        return _report_interruption(interruption)
    except Exception as error:
        return _report(error)


def leave_on_error(work: Callable[[], object], keep_going: bool = False) -> None:
    """Run ``work`` inside a job of Hydra; on an error, print its line and exit with its code.

    With ``keep_going`` the process does not exit, so that the other jobs of a sweep run.
    """
    try:
        work()
    except KeyboardInterrupt as interruption:
        sys.exit(_report_interruption(interruption))
    except Exception as error:
        if keep_going and _wants_traceback:
            traceback.print_exc()
            return
        code = _report(error)
        if not keep_going:
            sys.exit(code)


def _report_interruption(interruption: KeyboardInterrupt) -> int:
    own = "Interrupted. What was finished is kept; the same command goes on from there."
    line = last_words(own)
    with contextlib.suppress(OSError):  # a terminal that was closed
        if line:
            print(f"\n{line}" if line == own else f"infer: {line}", file=sys.stderr)
    return interruption.exit_code if isinstance(interruption, Terminated) else INTERRUPTED


def _report(error: Exception) -> int:
    if _wants_traceback:
        raise error
    shown = UsageError(explain(error)) if isinstance(error, FOREIGN) else error
    lost = isinstance(error, LostRank)
    if line := last_words(describe(shown), failed=not lost, lost=lost):
        print(f"infer: {visible(line)}", file=sys.stderr)
    return exit_code_for(shown)
