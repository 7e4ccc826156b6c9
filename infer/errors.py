"""The two ways a run can end badly: what was asked cannot be done, or the work itself failed."""


class InferError(Exception):
    """Base of every error that is shown to the user as one line."""

    exit_code = 1


class UsageError(InferError):
    """What was asked for is wrong or incomplete: a setting, a missing file, a missing earlier stage (exit code 2).

    The message is one line that says what was given, what is allowed, where it came from and what to type.
    """

    exit_code = 2


class RunError(InferError):
    """The work started and could not be finished: a loss that became NaN, a full disk (exit code 1)."""
