"""``launch.py`` as it is, but it notes what it is at.

A line of the trace, the file that ``INFER_TRACE`` names: time, process, what begins, the stage, the artefact.
"""

import os
import time
from pathlib import Path

from infer import cli
from infer.stages import report
from infer.store import Artefact, Store


def _note(event: str, stage: str, name: str = "-") -> None:
    line = f"{time.time()} {os.getpid()} {event} {stage} {name}\n".encode()
    trace = os.open(os.environ["INFER_TRACE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(trace, line)  # in one piece, also beside other processes
    os.close(trace)


def _traced_fill(store: Store, making: Path, artefact: Artefact) -> None:
    _note("make", artefact.stage.value, artefact.folder_name)
    fill(store, making, artefact)


def _traced_report(*arguments: object) -> None:
    _note("report", "report")
    run_report(*arguments)


fill, run_report = Store._fill, report.run
Store._fill, report.run = _traced_fill, _traced_report

if __name__ == "__main__":
    cli.main()
