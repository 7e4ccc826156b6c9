"""End of a sweep: waiting for its jobs or leaving them to SLURM, and writing and printing its table."""

from infer import cluster
from infer.config.cluster import SlurmCluster
from infer.console import Console
from infer.records.sweeps import read_sweep
from infer.sweep.start import StartedSweep
from infer.tables import count, print_report
from infer.words import shell_line


def finish(sweep: StartedSweep, interrupted: bool) -> int:
    """Wait for jobs that may still run, unless ``interrupted``; the exit code is 1 where not all are done."""
    if isinstance(sweep.cluster, SlurmCluster) and sweep.cluster.detach:
        return _leave(sweep)
    from infer.reports.sweep import report_sweep  # matplotlib takes a second

    if not interrupted:
        cluster.wait_for_jobs(sweep.cluster, sweep.folder)
        (read_sweep(sweep.folder) or sweep.record).write_ended(sweep.folder)
    elif sweep.cluster.name == "slurm":
        Console().say("The jobs stay in SLURM's queue and go on; `squeue --me` lists them, `scancel` ends them.")
    written = report_sweep(sweep.folder)
    print_report(written, "text")
    return written.code


def _leave(sweep: StartedSweep) -> int:
    """Print how to follow the jobs of a detached sweep."""
    name = shell_line([sweep.folder.name])
    Console().say(
        f"{count(sweep.record.jobs, 'job')} queued on SLURM, the last to end writes the table and report.html in "
        f"{sweep.folder}. They are followed by infer watch {name}; infer report {name} writes what there is"
    )
    return 0
