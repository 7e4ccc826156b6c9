"""``python -m infer.sweep.aftermath``: command at the end of an array element's script, whether its jobs failed or not.

Failed jobs are queued again, and the last element to end writes the table of a detached sweep.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from infer.cluster import have_all_ended
from infer.cluster.element import Element
from infer.cluster.marks import mark
from infer.config import Config
from infer.config.cluster import SlurmCluster
from infer.records.folders import sweep_jobs
from infer.records.run import FAILED
from infer.sweep.collecting import collect, collecting
from infer.words import shell_line


def command(config: Config, folder: Path) -> str | None:
    """The shell command that runs this module when an element of the sweep in ``folder`` has ended.

    None where no setting requires it.
    """
    if not isinstance(config.cluster, SlurmCluster):
        return None
    options = [
        *([f"--retry={config.sweep.retry}"] if config.sweep.retry else []),
        *(["--grow-memory"] if config.cluster.grow_memory else []),
        *(["--collect"] if config.cluster.detach else []),
    ]
    if not options:
        return None
    return shell_line([sys.executable, "-m", __name__, str(folder.absolute()), *options])


def main(words: Sequence[str]) -> None:
    """Process the end of the element whose batch script calls this, with the arguments ``words``."""
    parser = argparse.ArgumentParser(prog=__name__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--retry", type=int, default=0)
    parser.add_argument("--grow-memory", action="store_true")
    parser.add_argument("--collect", action="store_true")
    parser.add_argument("code", type=int, help="exit code of the element's step")
    options = parser.parse_args(words)
    element = Element.of_this_process(options.folder)
    if element.is_running:  # otherwise SLURM ends it or has queued it again; a preempted job has not failed
        _after(element, options)


def _after(element: Element, options: argparse.Namespace) -> None:
    has_grown = (
        options.grow_memory and element.was_killed_for_memory(options.code) and element.submit_with_twice_the_memory()
    )
    if not has_grown and _has_failed(element, options.code) and _try_again(element, options.retry):
        return
    with collecting(options.folder):
        mark(options.folder, element.job_id)
        if options.collect and have_all_ended(options.folder):
            collect(options.folder)


def _has_failed(element: Element, code: int) -> bool:
    """True if the element was killed, or the record of one of its jobs reports a failure."""
    jobs = sweep_jobs(element.sweep)
    return code != 0 or any(
        job.state == FAILED and job.record["environment"].get("slurm_job") == element.job_id for job in jobs
    )


def _try_again(element: Element, most: int) -> bool:
    """Queue the element again unless this was done ``most`` times already; True if it was queued."""
    counted = element.tries_file
    before = int(counted.read_text()) if counted.is_file() else 0
    if before >= most:
        return False
    counted.write_text(str(before + 1))
    return element.queue_again()


if __name__ == "__main__":
    main(sys.argv[1:])
