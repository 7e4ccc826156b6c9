"""``launch.py`` as it is, but it notes what it is at.

A line of the trace, the file that ``INFER_TRACE`` names: time, process, what begins, the stage, the artefact.
"""

import os
import time

from infer import cli
from infer.stages import report
from infer.store.making import Making


def _note(event: str, stage: str, name: str = "-") -> None:
    line = f"{time.time()} {os.getpid()} {event} {stage} {name}\n".encode()
    trace = os.open(os.environ["INFER_TRACE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(trace, line)  # in one piece, also beside other processes
    os.close(trace)


def _traced_fill(making: Making, *arguments: object) -> None:
    _note("make", making.artefact.stage.value, making.artefact.folder_name)
    fill(making, *arguments)


def _traced_report(*arguments: object) -> None:
    _note("report", "report")
    run_report(*arguments)


fill, run_report = Making.fill, report.run
Making.fill, report.run = _traced_fill, _traced_report

if __name__ == "__main__":
    cli.main()
