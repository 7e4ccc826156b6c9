"""Failures that leave one line and the right exit code."""

import errno

import pytest

from infer import exit_codes
from infer.errors import RunError, UsageError


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (UsageError("K=-1 is not possible"), 2, "infer: K=-1 is not possible\n"),
        (RunError("the loss is not finite"), 1, "infer: the loss is not finite\n"),
        (OSError(errno.ENOSPC, "No space left on device", "x.json"), 1, "no space left on the disk (x.json)"),
        (ValueError("two\nlines"), 1, "infer: ValueError: two lines"),
        (KeyboardInterrupt(), 130, "the same command goes on from there"),
    ],
)
def test_exit_codes_and_lines(capsys, error, code, says):
    def work() -> None:
        raise error

    with pytest.raises(SystemExit) as left:
        exit_codes.leave_on_error(work)
    assert left.value.code == code
    printed = capsys.readouterr().err
    assert says in printed and len(printed.strip().splitlines()) == 1


def test_a_traceback_on_request(monkeypatch):
    monkeypatch.setattr(exit_codes, "_wants_traceback", True)
    with pytest.raises(UsageError):
        exit_codes.leave_on_error(lambda: (_ for _ in ()).throw(UsageError("x")))
