"""States of jobs from SLURM's queue, for clusters without accounting."""

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
"""State of a job that is no longer listed in the queue, and therefore has ended."""


class QueueWatcher(SlurmInfoWatcher):
    """Watcher that calls ``squeue`` in place of submitit's ``sacct``.

    Without accounting the output of ``sacct`` is empty, and submitit would wait for a killed job forever. ``squeue``
    lists a job for some minutes after its end (``MinJobAge``). A job counts as running where the command fails, and
    where its state is unknown to this class.
    """

    def _make_command(self) -> list[str] | None:
        if not self._registered - self._finished:
            return None
        # All jobs of the user, since with --jobs=... an error for a forgotten job would look like one of the network.
        return ["squeue", "--me", "--noheader", "--all", "--array", "--states=all", "--format=%i|%T|%N"]

    def read_info(self, string: bytes | str) -> dict[str, dict[str, str]]:
        """State and nodes of all registered jobs that have not ended."""
        text = string if isinstance(string, str) else string.decode()
        found = super().read_info(f"{_COLUMNS}\n{text}")
        return {job: found.get(job, {"JobID": job, "State": FORGOTTEN}) for job in self._registered - self._finished}

    def is_done(self, job_id: str, mode: str = "standard") -> bool:
        """True if the job has ended."""
        return self.get_state(job_id, mode=mode) in _ENDS | {FORGOTTEN}
