"""A SLURM cluster inside one folder of this machine: munged, slurmctld and two nodes, without root or systemd."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_COMMANDS = ("munged", "munge", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")
FOREIGN = ("SLURM_", "SBATCH_", "SRUN_", "SCANCEL_", "SQUEUE_", "SINFO_", "SALLOC_", "SUBMITIT_", "MUNGE_")
"""Beginnings of variables that another cluster's job or user may have set, and that would change everything."""
_NODES = ("n1", "n2")
_CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
# a job that is queued again waits until its last credential has expired: by default 120 s, here the least, 5 s
AuthInfo=socket={folder}/munge/s,cred_expire=5
{addresses}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/log/slurmctld
SlurmdLogFile={folder}/log/%n
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
# without a size, a job would take all memory of its node
DefMemPerCPU=100
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
# what has ended stays in the queue's sight, for the message of a failed test
MinJobAge=86400
KillWait=2
CompleteWait=0
ReturnToService=2
PropagateResourceLimits=NONE
# a node may claim more than the machine has
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=4 RealMemory=4000 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=4 RealMemory=4000 State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


class CannotStart(Exception):
    """There is no SLURM here, or it does not start; says why."""


class Slurm:
    """The running cluster, through its own commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
        self.environment = kept | {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": path, "OMP_NUM_THREADS": "1"}
        """For everything that is to see this cluster and no other."""

    def squeue(self) -> dict[str, str]:
        """State by job id (``7`` or ``7_1``) of every job so far."""
        lines = self.ask("squeue", "--noheader", "--all", "--array", "--states=all", "--format=%i %T").splitlines()
        return dict(line.split() for line in lines)

    def kill(self, job_id: str) -> None:
        """End a running job as a crash does: SIGKILL for its processes."""
        self.ask("scancel", "--signal=KILL", f"{job_id}.0")

    def requeue(self, job_id: str) -> None:
        """Stop a running job without a warning and start it again, after some 13 s, as when its node fails."""
        self.ask("scontrol", "requeue", job_id)

    def preempt(self, job_id: str) -> None:
        """Tell a running job to save its work and make room, as a job of higher priority does."""
        self.ask("scancel", "--signal=USR2", job_id)

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """Let jobs be submitted, and none start before the block ends."""
        self.ask("scontrol", "update", "PartitionName=debug", "State=DOWN")
        try:
            yield
        finally:
            self.ask("scontrol", "update", "PartitionName=debug", "State=UP")

    def restarts(self, job_id: str) -> int:
        """Number of times that a job was queued again."""
        shown = self.ask("scontrol", "show", "job", job_id)
        return int(shown.partition("Restarts=")[2].split()[0])

    def clear(self) -> None:
        """End every job; returns when none is left."""
        pending, running = (self._ids(state, form) for state, form in (("PENDING", "%A"), ("RUNNING", "%A.0")))
        # submitit's jobs ignore what scancel sends first and take seconds to end; killing their step is immediate
        for ids, options in ((pending, ()), (running, ("--signal=KILL",)), (self._ids("all", "%A"), ())):
            if ids:
                self.ask("scancel", "--quiet", *options, *ids, check=False)
        wait_until(lambda: not self._ids("PENDING,RUNNING,COMPLETING,SUSPENDED", "%A"), "every job has ended")

    def ask(self, *command: str, check: bool = True) -> str:
        """Output of a command of SLURM."""
        answer = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=30)
        if check and answer.returncode:
            raise RuntimeError(f"{' '.join(command)}: {answer.stderr}")
        return answer.stdout

    def _ids(self, states: str, form: str) -> list[str]:
        return sorted(set(self.ask("squeue", "--noheader", f"--states={states}", f"--format={form}").split()))


@contextlib.contextmanager
def running() -> Iterator[Slurm]:
    """A cluster that lives as long as the block; raises CannotStart."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    if missing := [command for command in _COMMANDS if shutil.which(command, path=path) is None]:
        raise CannotStart(f"{', '.join(missing)} not found (apt-get install slurmctld slurmd slurm-client munge)")
    # short, for its sockets' names; and open to be looked into, or munged refuses: neither is true of pytest's tmp_path
    folder = Path(tempfile.mkdtemp(prefix="sl"))
    daemons: dict[str, subprocess.Popen] = {}
    slurm = Slurm(folder)
    try:
        _prepare_folder(folder)
        _start(slurm, daemons)
        yield slurm
    finally:
        _stop(slurm, daemons)
        shutil.rmtree(folder, ignore_errors=True)


def wait_until(holds: Callable[[], object], what: str, seconds: float = 60, sleep_s: float = 0.05) -> None:
    """Return as soon as ``holds()`` is true; TimeoutError, naming ``what``, if that takes ``seconds``."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s: {what}")
        time.sleep(sleep_s)


def _prepare_folder(folder: Path) -> None:
    folder.chmod(0o755)
    for name in ("munge", "state", "spool", "log"):
        (folder / name).mkdir(mode=0o755)
    (folder / "munge" / "key").touch(mode=0o600)
    (folder / "munge" / "key").write_bytes(secrets.token_bytes(128))
    host = socket.gethostname().partition(".")[0]
    content = _CONF.format(folder=folder, host=host, user=os.getuid(), ports=_free_ports(3), addresses=_addresses(host))
    (folder / "slurm.conf").write_text(content)


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _addresses(host: str) -> str:
    """Listen on the address that the host's name stands for where that is this machine only; else SLURM cannot."""
    try:
        is_local = socket.gethostbyname(host).startswith("127.")
    except OSError:
        is_local = False
    return "CommunicationParameters=NoCtldInAddrAny,NoInAddrAny" if is_local else ""


def _start(slurm: Slurm, daemons: dict[str, subprocess.Popen]) -> None:
    munge = slurm.folder / "munge"
    files = [f"--{name}-file={munge / name}" for name in ("key", "log", "pid", "seed")]
    conf = str(slurm.folder / "slurm.conf")

    def start(name: str, *command: str) -> None:
        with (slurm.folder / f"{name}.out").open("w") as output:
            daemons[name] = subprocess.Popen(
                command,
                env=slurm.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C in the terminal is pytest's
            )

    def answers(*command: str) -> str:
        for name, daemon in daemons.items():
            if daemon.poll() is not None:
                raise CannotStart(f"{name} ended: {(slurm.folder / f'{name}.out').read_text()[-500:]}")
        return slurm.ask(*command, check=False)

    try:
        start("munged", "munged", "--foreground", "--num-threads=2", f"--socket={munge / 's'}", *files)
        wait_until(lambda: answers("munge", "-S", str(munge / "s"), "-n"), "munged answers", 20)
        start("slurmctld", "slurmctld", "-D", "-c", "-f", conf)
        for node in _NODES:
            start(node, "slurmd", "-D", "-N", node, "-f", conf)
        idle = ("sinfo", "--noheader", "--Node", "--states=idle", "--format=%N")
        wait_until(lambda: set(answers(*idle).split()) == set(_NODES), "the nodes are idle", 40)
    except (TimeoutError, subprocess.TimeoutExpired, OSError) as error:
        raise CannotStart(str(error)) from error


def _stop(slurm: Slurm, daemons: dict[str, subprocess.Popen]) -> None:
    if "n1" in daemons and daemons["slurmctld"].poll() is None:
        with contextlib.suppress(TimeoutError, subprocess.TimeoutExpired):
            slurm.clear()
    for daemon in reversed(daemons.values()):
        daemon.terminate()
        try:
            daemon.wait(10)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
    for process in _left_over(slurm):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def _left_over(slurm: Slurm) -> list[int]:
    """Processes of this cluster's jobs, which outlive its daemons."""
    ours = f"SLURM_CONF={slurm.environment['SLURM_CONF']}"
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            variables = path.read_text(errors="replace").split("\0")
            if ours in variables and any(variable.startswith("SLURM_JOB_ID=") for variable in variables):
                found.append(int(path.parent.name))
    return found
