"""Errors that end a run: a request that cannot be met, or work that failed."""

import errno

_SHOWN = 60  # characters of a path that is too long
INTERRUPTED = 130
"""Exit code after Ctrl-C; after another signal it is 128 + its number."""


class InferError(Exception):
    """Base of every error that is shown to the user as one line."""

    exit_code = 1


class UsageError(InferError):
    """A wrong or incomplete request: a setting, a missing file, a missing earlier stage (exit code 2).

    The message is one line that says what was given, what is allowed, where it came from and what to type.
    """

    exit_code = 2


class RunError(InferError):
    """The work started and could not be finished: a loss that became NaN, a full disk (exit code 1)."""


def is_interruption(exit_code: int) -> bool:
    """True if a process that ended with ``exit_code`` was ended by a signal."""
    return exit_code > 128


def exit_code_for(error: Exception) -> int:
    """The exit code of a process that ``error`` ends."""
    if isinstance(error, InferError):
        return error.exit_code
    return UsageError.exit_code if _is_too_long(error) else InferError.exit_code


def describe(error: Exception) -> str:
    """``error`` in one line, in words for the errors that a full disk or a bug cause."""
    if isinstance(error, InferError):
        return str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"no space left on the disk ({error.filename}). Free some space, or give another folder: outputs=<folder>"
        )
    if _is_too_long(error):
        return f"{str(getattr(error, 'filename', ''))[:_SHOWN]}... is no path: it is too long. Give a shorter one"
    if isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        return f"the system says: {error.strerror}{where}"
    if (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
    ):
        return (
            "not enough memory. Type evaluate.accumulate=2 or teachers.accumulate=2, a smaller batch_size of theirs, a "
            "smaller method.batch_size or method.class_chunk, or use another device"
        )
    text = " ".join(" ".join(str(error).splitlines()[:2]).split())  # submitit's go on with the whole log of a job
    return f"{type(error).__name__}: {text} (unexpected; HYDRA_FULL_ERROR=1 shows where)"


def _is_too_long(error: Exception) -> bool:
    """True of the system's error for a path that is too long, which only a person can have given."""
    return isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG
