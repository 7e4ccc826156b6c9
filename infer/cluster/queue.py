"""States of jobs from SLURM's queue, for clusters that keep no accounts of ended jobs."""

from submitit.slurm.slurm import SlurmInfoWatcher

_COLUMNS = "JobID|State|NodeList"
_ENDS = {
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "TIMEOUT",
}
FORGOTTEN = "FORGOTTEN"
"""State of a job that the queue no longer holds: it has ended."""


class QueueWatcher(SlurmInfoWatcher):
    """Watcher that asks ``squeue`` instead of submitit's ``sacct``, whose answer is empty without accounting, so that
    submitit would wait for a killed job without end.

    SLURM shows a job that has ended for some minutes (``MinJobAge``), then forgets it. Neither an answer that fails nor
    a state that is not known here ends a job.
    """

    def _make_command(self) -> list[str] | None:
        if not self._registered - self._finished:
            return None
        # All of a person's jobs, not --jobs=...: an error for a forgotten job could not be told from one of the network
        return ["squeue", "--me", "--noheader", "--all", "--array", "--states=all", "--format=%i|%T|%N"]

    def read_info(self, string: bytes | str) -> dict[str, dict[str, str]]:
        """State and nodes of every job that was asked for."""
        text = string if isinstance(string, str) else string.decode()
        found = super().read_info(f"{_COLUMNS}\n{text}")
        return {job: found.get(job, {"JobID": job, "State": FORGOTTEN}) for job in self._registered - self._finished}

    def is_done(self, job_id: str, mode: str = "standard") -> bool:
        """True if the job has ended."""
        return self.get_state(job_id, mode=mode) in _ENDS | {FORGOTTEN}
