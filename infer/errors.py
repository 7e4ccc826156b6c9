"""Errors that end a run: a request that cannot be met, or work that failed."""

import errno

_SHOWN_CHARACTERS = 60
"""Number of characters that a message shows of a path that is too long."""
INTERRUPTED = 130
"""Exit code after Ctrl-C. After another signal it is 128 + the number of the signal."""


class InferError(Exception):
    """Base class of errors that are shown to the user as one line."""

    exit_code = 1


class UsageError(InferError):
    """Wrong or incomplete request, such as a wrong setting, a missing file or a missing earlier stage (exit code 2).

    The message is one line that contains what was given, what is allowed, where it came from, and what to type.
    """

    exit_code = 2


class RunError(InferError):
    """Failure of work that has started, such as a loss that became NaN or a full disk (exit code 1)."""


def is_interruption(exit_code: int) -> bool:
    """True if a process that ended with ``exit_code`` was ended by a signal."""
    return exit_code > 128


def exit_code_for(error: Exception) -> int:
    """The exit code of a process that ``error`` ends."""
    if isinstance(error, InferError):
        return error.exit_code
    return UsageError.exit_code if _is_too_long(error) else InferError.exit_code


def describe(error: Exception) -> str:
    """``error`` as one line, with advice for common errors such as a full disk or too little memory."""
    if isinstance(error, InferError):
        return str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"no space left on the disk ({error.filename}). Free some space, or give another folder: outputs=<folder>"
        )
    if _is_too_long(error):
        shown = str(getattr(error, "filename", ""))[:_SHOWN_CHARACTERS]
        return f"{shown}... is too long for a path. Give a shorter one"
    if isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        return f"the system says: {error.strerror}{where}"
    if (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
    ):
        return (
            "not enough memory. Type evaluate.accumulate=2 or teachers.accumulate=2, a smaller batch_size of either, a "
            "smaller method.batch_size or method.class_chunk, or use another device"
        )
    text = " ".join(" ".join(str(error).splitlines()[:2]).split())  # errors of submitit contain the whole log of a job
    return f"{type(error).__name__}: {text} (unexpected; HYDRA_FULL_ERROR=1 shows where)"


def _is_too_long(error: Exception) -> bool:
    """True for the system's error about a path that is too long, which only the user can have given."""
    return isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG
