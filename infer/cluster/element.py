"""The array element that this process belongs to, after its jobs have ended: queue it again, or with more memory."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from infer.cluster.marks import SUBMITTED

_GROWN_VARIABLE = "INFER_MEMORY_GROWN"
"""Environment variable that is set for an element that was submitted again with more memory."""
_SIGKILL_CODE = 137
"""Exit code of a step whose process received SIGKILL, which the kernel sends when memory runs out."""
_OUT_OF_MEMORY = re.compile(r"oom.?kill|out of memory|exceeded \w+ memory limit", re.IGNORECASE)
"""Messages of SLURM in the log of a job that it, or the kernel, has killed for its memory."""
_LAST_BYTES = 20_000
"""Number of bytes at the end of the log that are searched."""


@dataclass(frozen=True)
class Element:
    """An element of the job array of a sweep, or its only job."""

    sweep: Path
    """Folder of the sweep."""
    job_id: str
    """SLURM's name of the job, such as ``7_1`` for an element of an array or ``7`` for a single job."""

    @classmethod
    def of_this_process(cls, sweep: Path) -> "Element":
        """The element whose batch script runs this process. Raises KeyError outside SLURM."""
        array = os.environ.get("SLURM_ARRAY_JOB_ID")  # SLURM_JOB_ID of one element is that of the whole array
        return cls(sweep, f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ["SLURM_JOB_ID"])

    @property
    def is_running(self) -> bool:
        """True if the state in SLURM is RUNNING: it was not told to end the element or to queue it again."""
        answer = _ask("squeue", "--noheader", f"--jobs={self.job_id}", "--array", "--format=%T")
        return answer.returncode == 0 and answer.stdout.split() == ["RUNNING"]

    def was_killed_for_memory(self, code: int) -> bool:
        """True if the step, which ended with the exit ``code``, was killed and memory was or may have been the reason.

        That is the case where SLURM gives it as the reason, and after every SIGKILL: the kernel sends that signal when
        memory runs out, but users may send it too.
        """
        if code == 0:
            return False
        return code == _SIGKILL_CODE or _OUT_OF_MEMORY.search(self._last_words()) is not None

    @property
    def tries_file(self) -> Path:
        """File with the number of times that the element was queued again after a failure."""
        return self.sweep / SUBMITTED / f"{self.job_id}.tries"

    def queue_again(self) -> bool:
        """Queue the element again with the same resources; False, after a message, where SLURM refuses."""
        return self._succeeds(_ask("scontrol", "requeue", self.job_id))

    def submit_with_twice_the_memory(self) -> bool:
        """Submit the element again, as a new job; False where that was done before, or SLURM refuses."""
        if _GROWN_VARIABLE in os.environ or not (megabytes := os.environ.get("SLURM_MEM_PER_NODE")):
            return False
        array, _, task = self.job_id.partition("_")
        script = self.sweep / SUBMITTED / array / f"{array}_submission.sh"
        as_array = [f"--array={task}"] if task else []
        memory = f"--mem={2 * int(megabytes)}M"
        # sbatch would pass the variables that SLURM has set for this job on to the new one.
        kept = {key: value for key, value in os.environ.items() if key == "SLURM_CONF" or not _is_of_a_job(key)}
        answer = _ask("sbatch", "--parsable", *as_array, memory, str(script), environment=kept | {_GROWN_VARIABLE: "1"})
        if not self._succeeds(answer):
            return False
        new = answer.stdout.strip().partition(";")[0]
        new_id = f"{new}_{task}" if task else new
        folder = self.sweep / SUBMITTED
        (folder / new_id).mkdir(exist_ok=True)
        shutil.copy(folder / self.job_id / f"{self.job_id}_submitted.pkl", folder / new_id / f"{new_id}_submitted.pkl")
        return True

    def _last_words(self) -> str:
        log = self.sweep / SUBMITTED / self.job_id / f"{self.job_id}_0_log.err"
        return log.read_bytes()[-_LAST_BYTES:].decode(errors="replace") if log.is_file() else ""

    def _succeeds(self, answer: subprocess.CompletedProcess[str]) -> bool:
        if answer.returncode:
            print(
                f"infer: element {self.job_id} cannot be started again: {' '.join(answer.stderr.split())}", flush=True
            )
        return answer.returncode == 0


def job_id() -> str | None:
    """SLURM's name of the job that this process is part of, as in the names of its logs; None outside SLURM."""
    if os.environ.get("SUBMITIT_EXECUTOR") != "slurm":
        return None
    return Element.of_this_process(Path()).job_id


def was_started_before() -> bool:
    """True if the job of this process has run before: it was queued again, or submitted again with more memory."""
    return os.environ.get("SLURM_RESTART_COUNT", "0") != "0" or _GROWN_VARIABLE in os.environ


def _is_of_a_job(variable: str) -> bool:
    return variable.startswith(("SLURM_", "SUBMITIT_"))


def _ask(*command: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, env=environment)
