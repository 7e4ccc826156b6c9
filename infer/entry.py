"""Entry points of the commands. Ctrl-C ends them without a traceback while their modules load, which takes time."""

import os
import signal

from infer.errors import INTERRUPTED


def launch() -> None:
    """Entry point of ``launch.py`` and of the installed ``infer-launch``."""
    _leave_on_interrupt()
    from infer.cli import main

    _raise_on_interrupt()
    main()


def look() -> None:
    """Entry point of the installed ``infer``."""
    _leave_on_interrupt()
    from infer.commands.main import main

    _raise_on_interrupt()
    main()


def _leave_on_interrupt() -> None:
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where the parent process ignores the signal
        signal.signal(signal.SIGINT, _leave)


def _raise_on_interrupt() -> None:
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(*_: object) -> None:
    os._exit(INTERRUPTED)
