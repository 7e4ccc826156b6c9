"""Runs that are killed at random moments, and what they must have left behind when they are through."""

import contextlib
import json
import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.launching import Launched

from infer.commands.verify import verify

ROOT = Path(__file__).resolve().parents[2]
STAGES = ("squeeze", "generate", "relabel", "evaluate", "report")
TRACE = "trace.txt"
_POLL_S = 0.001
_PATIENCE_S = 300


@dataclass(frozen=True)
class Noted:
    """A line of the trace."""

    time: float
    process: int
    stage: str
    artefact: str


class Work:
    """A command in a folder of its own, started as often as it takes."""

    def __init__(self, folder: Path, words: tuple[str, ...]) -> None:
        self.folder = folder
        self.words = words
        self.killed: dict[int, str] = {}
        """Stage that a killed process was at, "start" before its first, by process number."""
        self.starts = 0
        self.completed = 0.0
        folder.mkdir(parents=True, exist_ok=True)

    def start(self) -> Launched:
        """Type the command."""
        self.starts += 1
        variables = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "INFER_TRACE": str(self.folder / TRACE)}
        errors, program = self.folder / "stderr.txt", Path(__file__).with_name("traced_launch.py")
        return Launched(self.folder, self.words, os.environ | variables, Path(os.devnull), errors, program)

    def kill(self, process: Launched) -> None:
        """SIGKILL the process; one that has ended meanwhile does not count as killed."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        if process.wait() == -signal.SIGKILL:
            last = self.last_of(process.pid)
            self.killed[process.pid] = last.stage if last else "start"

    def complete(self, process: Launched) -> None:
        """Wait for a process that nobody kills."""
        assert process.wait(_PATIENCE_S) == 0, (self.folder / "stderr.txt").read_text()
        self.completed = time.time()

    def trace(self) -> list[Noted]:
        """Work that the processes have begun so far."""
        path = self.folder / TRACE
        whole, _, _ = path.read_text().rpartition("\n") if path.exists() else ("", "", "")
        lines = [line.split() for line in whole.splitlines()]
        return [Noted(float(moment), int(pid), stage, name) for moment, pid, _, stage, name in lines]

    def last_of(self, pid: int) -> Noted | None:
        """Work that a process was at, None when it had not begun any."""
        return next((line for line in reversed(self.trace()) if line.process == pid), None)

    def wait_for_stage(self, processes: list[Launched], stage: str) -> list[Launched]:
        """Members of ``processes`` at ``stage`` or beyond, as soon as there is one; none when all have ended."""
        deadline = time.monotonic() + _PATIENCE_S
        while alive := [process for process in processes if process.poll() is None]:
            at = {line.process for line in self.trace() if STAGES.index(line.stage) >= STAGES.index(stage)}
            if found := [process for process in alive if process.pid in at]:
                return found
            assert time.monotonic() < deadline
            time.sleep(_POLL_S)
        return []

    def durations(self) -> dict[str, float]:
        """Seconds of each stage in a folder where one process did everything."""
        begun: dict[str, float] = {}
        for line in self.trace():
            begun.setdefault(line.stage, line.time)
        ends = [*begun.values(), self.completed][1:]
        return {stage: end - start for (stage, start), end in zip(begun.items(), ends, strict=True)}


def reference(folder: Path, words: tuple[str, ...]) -> Work:
    """The same work, undisturbed."""
    work = Work(folder, words)
    work.complete(work.start())
    return work


def kill_in_every_stage(work: Work, durations: dict[str, float], seed: int) -> None:
    """Kill once in each stage, at a random moment of it; each time the command is typed again, at last to its end."""
    drawn = random.Random(seed)
    for stage in STAGES:
        before, longest = len(work.killed), durations[stage]
        while len(work.killed) == before:
            process = work.start()
            work.wait_for_stage([process], stage)
            time.sleep(drawn.uniform(0, longest))
            work.kill(process)
            longest /= 2  # what is made already makes a stage shorter than it was
    work.complete(work.start())


def kill_among(work: Work, durations: dict[str, float], processes: int, kills_per_stage: int, seed: int) -> None:
    """Start several processes at once; in each stage kill some, each of which is started again; all complete."""
    drawn = random.Random(seed)
    running = [work.start() for _ in range(processes)]
    for stage in [stage for stage in STAGES[:-1] for _ in range(kills_per_stage)]:
        at_work = work.wait_for_stage(running, stage)
        if not at_work:
            break
        time.sleep(drawn.uniform(0, durations[stage] / processes))
        victim = drawn.choice(at_work)
        work.kill(victim)
        if victim.pid in work.killed:
            running[running.index(victim)] = work.start()
    for process in running:
        work.complete(process)


def results(work: Work) -> list[dict[str, Any]]:
    """Metrics and baselines of every run that completed."""
    records = [json.loads(path.read_text()) for path in work.folder.glob("outputs/runs/*/result.json")]
    return [{"metrics": r["metrics"], "baselines": r["baselines"]} for r in records if r["status"] == "done"]


def artefacts(work: Work) -> dict[str, Any]:
    """Checksums and facts of everything in the store; what differs from run to run is left out."""
    found = {}
    for path in work.folder.glob("outputs/*/*/record.json"):
        record = json.loads(path.read_text())
        assert {*record["files"], path.name} == {file.name for file in path.parent.iterdir()}
        facts = {key: value for key, value in record["facts"].items() if key != "seconds"}
        found[f"{record['kind']}/{path.parent.name}"] = (record["signature"], record["files"], facts)
    return found


def made_again(work: Work) -> Counter[str]:
    """Number of artefacts begun again although nobody had been killed at them."""
    begun: dict[str, list[int]] = {}
    for line in work.trace():
        if line.artefact != "-":
            begun.setdefault(line.artefact, []).append(line.process)
    killed_at = {(pid, last.artefact) for pid in work.killed if (last := work.last_of(pid))}
    return Counter({name: sum((pid, name) not in killed_at for pid in pids[:-1]) for name, pids in begun.items()})


def check(work: Work, undisturbed: Work) -> None:
    """All results and every byte of the store are those of the undisturbed work, and nothing half-made is left."""
    (expected,) = results(undisturbed)
    assert results(work) and all(result == expected for result in results(work))
    assert artefacts(work) == artefacts(undisturbed)
    assert verify(work.folder / "outputs").code == 0
    assert not [
        str(path) for pattern in (".making-*", ".set-aside") for path in work.folder.glob(f"outputs/*/{pattern}")
    ]
    assert made_again(work).total() == 0, made_again(work)


def figures(works: list[Work], seconds: float) -> str:
    """One line to quote."""
    stages = Counter(stage for work in works for stage in work.killed.values())
    by_stage = ", ".join(f"{stage} {stages[stage]}" for stage in ("start", *STAGES))
    kills, starts = stages.total(), sum(work.starts for work in works)
    made = sum(len(artefacts(work)) for work in works)
    again = sum(made_again(work).total() for work in works)
    return (
        f"{kills} kills ({by_stage}), {starts} starts, {made} artefacts, {again} of them made more than once apart "
        f"from those whose maker was killed, {seconds:.0f} s"
    )
