"""The array element that this process belongs to, once its step has ended: queue it again, or with more memory."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from infer.cluster.marks import SUBMITTED

_GROWN = "INFER_MEMORY_GROWN"
"""Variable of the environment of an element that was submitted anew with more memory."""
_KILLED = 137
"""Exit code of a step whose process got SIGKILL, as the kernel's memory killer sends it."""
_SAID = re.compile(r"oom.?kill|out of memory|exceeded \w+ memory limit", re.IGNORECASE)
"""Words of SLURM in the log of a job that it, or the kernel, has killed for its memory."""
_LAST_BYTES = 20_000


@dataclass(frozen=True)
class Element:
    """An element of the array of ``sweep``, or its only job; ``job_id`` is ``7_1`` or ``7``."""

    sweep: Path
    job_id: str

    @classmethod
    def of_this_process(cls, sweep: Path) -> "Element":
        """The element whose batch script runs this process; KeyError outside SLURM."""
        array = os.environ.get("SLURM_ARRAY_JOB_ID")  # SLURM_JOB_ID is the whole array's in one of its elements
        return cls(sweep, f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ["SLURM_JOB_ID"])

    @property
    def is_running(self) -> bool:
        """True if SLURM calls it running, and has not been told to end it or to queue it again."""
        answer = _ask("squeue", "--noheader", f"--jobs={self.job_id}", "--array", "--format=%T")
        return answer.returncode == 0 and answer.stdout.split() == ["RUNNING"]

    def was_killed_for_memory(self, code: int) -> bool:
        """True if its step, which ended with the exit ``code``, was killed and SLURM says that memory was the reason;
        also where it says nothing, as the kernel kills with the same signal that a person may send."""
        if code == 0:
            return False
        return code == _KILLED or _SAID.search(self._last_words()) is not None

    @property
    def tries_file(self) -> Path:
        """The file that says how often it was started again after a failure."""
        return self.sweep / SUBMITTED / f"{self.job_id}.tries"

    def queue_again(self) -> bool:
        """Queue it again as it is; False where SLURM refuses, with a line that says why."""
        return self._succeeds(_ask("scontrol", "requeue", self.job_id))

    def submit_with_twice_the_memory(self) -> bool:
        """Submit it once more, as an array of its own; False where that was done before, or SLURM refuses."""
        if _GROWN in os.environ or not (megabytes := os.environ.get("SLURM_MEM_PER_NODE")):
            return False
        array, _, task = self.job_id.partition("_")
        script = self.sweep / SUBMITTED / array / f"{array}_submission.sh"
        as_array = [f"--array={task}"] if task else []
        memory = f"--mem={2 * int(megabytes)}M"
        # what SLURM has set for this job would be handed on to the other
        kept = {key: value for key, value in os.environ.items() if key == "SLURM_CONF" or not _is_of_a_job(key)}
        answer = _ask("sbatch", "--parsable", *as_array, memory, str(script), environment=kept | {_GROWN: "1"})
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
    """SLURM's name of the job that this process is a part of, as its logs are named after it; None elsewhere."""
    if os.environ.get("SUBMITIT_EXECUTOR") != "slurm":
        return None
    return Element.of_this_process(Path()).job_id


def was_started_before() -> bool:
    """True if the job that runs this process has run before: SLURM queued it again, or it has grown."""
    return os.environ.get("SLURM_RESTART_COUNT", "0") != "0" or _GROWN in os.environ


def _is_of_a_job(variable: str) -> bool:
    return variable.startswith(("SLURM_", "SUBMITIT_"))


def _ask(*command: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, env=environment)
