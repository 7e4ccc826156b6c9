"""Entries of the commands: quiet about Ctrl-C while their modules load, which takes a while."""

import os
import signal

from infer.errors import INTERRUPTED


def launch() -> None:
    """Entry of ``launch.py`` and of the installed ``infer-launch``."""
    _leave_on_interrupt()
    from infer.cli import main

    _raise_on_interrupt()
    main()


def look() -> None:
    """Entry of the installed ``infer``."""
    _leave_on_interrupt()
    from infer.commands.main import main

    _raise_on_interrupt()
    main()


def _leave_on_interrupt() -> None:
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else whoever started this wants it ignored
        signal.signal(signal.SIGINT, _leave)


def _raise_on_interrupt() -> None:
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(*_: object) -> None:
    os._exit(INTERRUPTED)
