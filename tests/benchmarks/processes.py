"""The default run by one process, by as many as ``processes=auto`` takes, and two such runs at once.

    python tests/benchmarks/processes.py [--turns N] [words of launch.py]

Each turn makes everything in empty stores, one way after the other; both must give the same scores.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WAYS = {
    "one process": ("processes=1", 1),
    "processes=auto": ("processes=auto", 1),
    "two such runs": ("processes=auto", 2),
}
"""The word that is typed, and how many runs are started at once."""


def seconds(words: list[str], at_once: int) -> tuple[float, list[float]]:
    """Wall time of ``at_once`` runs that start together, each in an empty store, and their scores."""
    with tempfile.TemporaryDirectory() as folder:
        stores = [Path(folder, str(number)) for number in range(at_once)]
        start = time.perf_counter()
        runs = [
            subprocess.Popen(
                [sys.executable, str(ROOT / "launch.py"), *words, f"outputs={store}"],
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stdout=subprocess.DEVNULL,
            )
            for store in stores
        ]
        codes = [run.wait() for run in runs]
        taken = time.perf_counter() - start
        assert codes == [0] * at_once, codes
        records = [json.loads(path.read_text()) for store in stores for path in store.glob("runs/*/result.json")]
    return taken, [record["metrics"]["test/top1"]["mean"] for record in records]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=3)
    options, words = parser.parse_known_args()
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    scores = set()
    for _ in range(options.turns):
        for way, (word, at_once) in WAYS.items():
            wall, found = seconds([*words, word], at_once)
            taken[way].append(wall)
            scores.update(found)
            print(f"{way}: {wall:.1f} s", flush=True)
    assert len(scores) == 1, scores
    one = statistics.median(taken["one process"])
    for way, each in taken.items():
        median = statistics.median(each)
        print(f"{way:16} {median:7.1f} s  {median / one:.2f} of one process")


if __name__ == "__main__":
    main()
