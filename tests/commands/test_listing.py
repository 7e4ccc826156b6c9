"""infer ls: every run in one line, also a broken one, and a thousand of them in an instant."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from helpers.records import signature_of, stages, write_sweep

from infer.records.statistics import summarise

ROOT = Path(__file__).resolve().parents[2]
RUN, VAL = "20260101-090000-000001-digits-infer-ipc10", "20260102-090000-000001-digits-infer-ipc5"
JOB = "20260103-090000-000001-digits-infer/0"


def test_a_line_per_run_newest_last(infer, add_run):
    add_run(JOB, "M=2 labeling=dynamic", status="failed", error="loss is NaN", metrics={}, storage={})
    add_run(VAL, "evaluate.split=val ipc=5 M=1 K=4", top1=[90.0])
    add_run(RUN)
    code, out, _ = infer("ls")
    head, *lines = out.splitlines()
    assert code == 0
    assert head.split("  ")[0] == "run"
    assert lines[0].split() == [RUN, *"done infer digits 4 7 10 static digits_static 98.00 ± 1.00 (3) 26.2 kB".split()]
    assert lines[1].split() == [VAL, *"done infer digits 1 4 5 static digits_static 90.00 (1) val 26.2 kB".split()]
    assert lines[2].split() == [JOB, *"failed infer digits 2 7 10 dynamic digits_dynamic - -".split()]
    assert "not on the test split" in lines[3]


def test_csv_json_and_markdown(infer, add_run):
    add_run(RUN, status="running", metrics={}, storage={})
    add_run(VAL)
    rows = list(csv.DictReader(io.StringIO(infer("ls", "--csv")[1])))
    assert [row["run"] for row in rows] == [RUN, VAL]
    assert rows[0]["top1_mean"] == "" and float(rows[1]["top1_mean"]) == 98 and rows[1]["top1_n"] == "3"
    assert rows[1]["total_bytes"] == "26152"
    listed = json.loads(infer("ls", "--json")[1])
    assert listed[1]["top1"] == {"mean": 98.0, "std": 1.0, "n": 3} and listed[0]["state"] == "running"
    head, rule, first, _ = infer("ls", "--md")[1].splitlines()
    assert head.startswith("| run | state |") and set(rule) <= set("| -:") and first.startswith(f"| {RUN} | running |")


def test_an_unreadable_record_is_a_line_too(infer, add_run):
    (add_run(RUN) / "result.json").write_text('{"status": "do')
    add_run(VAL)
    code, out, _ = infer("ls")
    assert code == 0 and out.splitlines()[1].split()[:2] == [RUN, "unreadable"]
    assert infer("diff", RUN, VAL)[0] == 2


def test_planned_jobs_are_listed_before_they_start(infer, outputs):
    name = JOB.split("/")[0]
    write_sweep(outputs / "sweeps" / name, {"M": ["1", "2"]}, changes={1: None}, ended=None)
    rows = list(csv.DictReader(io.StringIO(infer("ls", "--csv")[1])))
    assert [(row["run"], row["state"]) for row in rows] == [(f"{name}/0-M=1", "done"), (f"{name}/1-M=2", "not started")]
    (outputs / "sweeps" / name / "sweep.json").write_text("{")
    assert [row["run"] for row in csv.DictReader(io.StringIO(infer("ls", "--csv")[1]))] == [f"{name}/0-M=1"]


def test_nothing_there_yet(infer, outputs):
    assert "no runs in" in infer("ls")[1]
    shutil.rmtree(outputs)
    code, _, err = infer("ls")
    assert code == 2 and err.startswith("infer: there is no folder") and err.count("\n") == 1


def test_a_thousand_runs_are_quick_and_need_no_torch(outputs, add_run):
    """Bounded in processor time, far above what it takes: a step that is quadratic in the runs would take minutes."""
    metrics = {f"test/top{k}{suffix}": summarise([1 / 3, 1 / 7, 0.1]) for k in (1, 5) for suffix in ("", "_best_epoch")}
    baseline = {"metrics": metrics, "per_student": {"convnet3": metrics}, "storage": {}, "protocol": "digits_hard"}
    large = {"relabel": [signature_of(number) for number in range(75)]}  # as many as the default run has
    first = add_run(
        RUN, baselines=dict.fromkeys(("random_static", "random_hard", "full"), baseline), stages=stages(**large)
    )
    for number in range(999):
        name = f"20260101-1000{number % 60:02}-{number:06}-digits-infer-ipc10"
        shutil.copytree(first, outputs / "runs" / name)
    for words in ("ls", "diff"):
        seconds, out = _time_in_a_process(words, outputs)
        assert "torch" not in out.split()
        assert seconds < 5


def _time_in_a_process(command: str, outputs: Path) -> tuple[float, str]:
    """Processor seconds of ``infer <command>`` and, as the last word of its output, the heavy modules it imported."""
    script = f"""
import sys, time
from infer.commands.main import run
run([{command!r}, "--outputs", {str(outputs)!r}])
print(*({{"torch", "scipy", "matplotlib", "safetensors"}} & sys.modules.keys()))
print(time.process_time())
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    finished = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    *_, modules, seconds = finished.stdout.splitlines()
    return float(seconds), modules


def test_the_reader_may_stop_early(outputs, add_run):
    add_run(RUN)
    command = f"{sys.executable} -c 'from infer.commands.main import main; main()' ls --outputs {outputs} | true"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    finished = subprocess.run(command, shell=True, env=environment, capture_output=True, text=True)
    assert finished.returncode == 0 and finished.stderr == ""


def _forge(path: Path, old: str, new: str) -> None:
    """Change a file, keeping its size and time."""
    status, text = path.stat(), path.read_text()
    assert old in text and len(old) == len(new)
    path.write_text(text.replace(old, new))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_what_was_listed_before_is_listed_from_its_records_once_they_change(infer, add_run, outputs):
    changed = add_run(RUN) / "result.json"
    add_run(VAL)
    first = infer("ls")[1]
    assert infer("ls")[1] == first and "98.00" in first
    _forge(changed, '"mean": 98.0', '"mean": 99.0')
    assert "99.00" in infer("ls")[1]
    shutil.rmtree(changed.parent)
    assert RUN not in infer("ls")[1] and VAL in infer("ls")[1]


def test_a_kept_listing_that_was_changed_is_not_believed(infer, add_run, outputs):
    add_run(RUN)
    first = infer("ls")[1]
    _forge(outputs / ".cache" / "listing.json", '"mean": 98.0', '"mean": 99.9')
    assert infer("ls")[1] == first
    (outputs / ".cache" / "listing.json").write_text("[]")
    assert infer("ls")[1] == first


def test_a_run_that_goes_on_is_looked_at_every_time(infer, add_run, outputs):
    folder = add_run(RUN, status="running", metrics={}, storage={})
    (folder / "progress.json").write_text("{}")
    assert "running" in infer("ls")[1]
    os.utime(folder / "progress.json", (0, 0))
    assert "lost: no sign of life" in infer("ls")[1]
