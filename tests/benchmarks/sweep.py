"""A sweep on one store beside the same jobs as single runs, each in an empty store of its own.

36 jobs on digits: M=1,2,3 x K=1,3,5 x 4 learning rates of the student, one student each. Both sides are processes that
are typed as a person would; both must give the same scores, job by job.

    python tests/benchmarks/sweep.py [--quick] [--finished] [--json FILE]

``--finished`` measures instead what a job costs of which everything is made already: a sweep of 8 jobs, three times in
this process, of which the first imports and makes, and the others count.
"""

import argparse
import contextlib
import io
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import torch

from infer import cli, environment

ROOT = Path(__file__).resolve().parents[2]
COMMON = ["evaluate.repeats=1", "baselines=[]"]
Axes = dict[str, list[float]]
Job = tuple[float, ...]
Record = dict[str, Any]

FULL: Axes = {"M": [1, 2, 3], "K": [1, 3, 5], "evaluate.lr": [0.0005, 0.001, 0.002, 0.004]}
QUICK: Axes = {"M": [1, 2], "K": [1], "evaluate.lr": [0.001, 0.002]}
FINISHED: Axes = {"M": [1, 2], "K": [1, 3], "evaluate.lr": [0.001, 0.002]}
FINISHED_TARGET_S = 1.0


def jobs_of(axes: Axes) -> list[Job]:
    return list(itertools.product(*axes.values()))


def words_of(axes: Axes, job: Job) -> list[str]:
    return [f"{key}={value}" for key, value in zip(axes, job, strict=True)]


def sweep_of(axes: Axes) -> list[str]:
    return ["-m", *(f"{key}={','.join(map(str, values))}" for key, values in axes.items())]


def launch(folder: Path, words: list[str]) -> float:
    """Seconds of one command typed in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(ROOT / "launch.py"), *words, *COMMON]
    start = time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return time.perf_counter() - start


def records(folder: Path) -> dict[Job, Record]:
    """Records of every job below ``folder``, by M, K and learning rate."""
    found = [json.loads(path.read_text()) for path in folder.rglob("result.json")]
    return {(r["config"]["M"], r["config"]["K"], r["config"]["evaluate"]["lr"]): r for r in found}


def made(found: dict[Job, Record]) -> Counter[str]:
    """Artefacts made by all jobs together, by stage."""
    total: Counter[str] = Counter()
    for record in found.values():
        total.update({stage: account["made"] for stage, account in record["stages"].items() if account["made"]})
    return total


def compare(axes: Axes, folder: Path) -> dict[str, Any]:
    """Run both sides and print them side by side."""
    jobs = jobs_of(axes)
    seconds = {
        "one sweep": launch(folder / "sweep", sweep_of(axes)),
        "single runs": sum(launch(folder / "single" / str(n), words_of(axes, job)) for n, job in enumerate(jobs)),
    }
    sweep, single = records(folder / "sweep"), records(folder / "single")
    counts = {"one sweep": made(sweep), "single runs": made(single)}
    different = [job for job in jobs if sweep[job]["metrics"] != single[job]["metrics"]]
    print(f"\n{len(jobs)} jobs{'':16}{'one sweep':>12}{'single runs':>14}{'ratio':>8}")
    print_row("wall time, s", *seconds.values())
    for stage in counts["single runs"]:
        print_row(f"made by {stage}", counts["one sweep"][stage], counts["single runs"][stage])
    print("different scores in " + ", ".join(map(str, different)) if different else "the same scores in every job")
    return {"jobs": len(jobs), "seconds": seconds, "made": counts, "same scores": not different}


def print_row(label: str, sweep: float, single: float) -> None:
    print(f"{label:22}{sweep:12.0f}{single:14.0f}{single / sweep:8.2f}")


def measure_finished() -> dict[str, Any]:
    """Process seconds per finished job, torch and everything else imported."""
    jobs = len(jobs_of(FINISHED))
    seconds = []
    for _ in range(3):
        start = time.process_time()
        launch_here(sweep_of(FINISHED))
        seconds.append((time.process_time() - start) / jobs)
    best = min(seconds[1:])
    verdict = "met" if best < FINISHED_TARGET_S else "missed"
    print(f"process seconds per finished job, {jobs} jobs: {', '.join(f'{s:.3f}' for s in seconds[1:])}")
    print(f"target: below {FINISHED_TARGET_S:g} s, {verdict}")
    return {"jobs": jobs, "process seconds per finished job": seconds[1:]}


def launch_here(words: list[str]) -> None:
    """The same as ``launch``, in this process."""
    sys.argv = ["launch.py", *words, *COMMON]
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            cli.main()
        except SystemExit as end:
            if end.code:
                sys.exit(said.getvalue())


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="4 jobs instead of 36: a minute")
    parser.add_argument("--finished", action="store_true", help="what a job costs of which everything is made already")
    parser.add_argument("--json", type=Path, help="also write the results here")
    return parser.parse_args()


def main() -> None:
    options = parsed()
    machine = environment.describe(torch.device("cpu"))
    about = {
        "hardware": machine["device"]["name"],
        "threads": machine["threads"],
        "torch": torch.__version__,
        "date": date.today().isoformat(),
    }
    print(", ".join(f"{name}: {value}" for name, value in about.items()))
    written = options.json.resolve() if options.json else None
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        axes = QUICK if options.quick else FULL
        outcome = measure_finished() if options.finished else compare(axes, Path(folder))
    if written:
        written.write_text(json.dumps(about | outcome, indent=2) + "\n")


if __name__ == "__main__":
    main()
