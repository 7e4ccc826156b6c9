"""Table of a sweep: a row per planned job, why those not done are not, and the one that is best."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.records import stages, write_sweep

from infer.commands.main import run as infer
from infer.errors import UsageError
from infer.records.statistics import summarise
from infer.reports.sweep import report_sweep
from infer.tables import Report

ROOT = Path(__file__).resolve().parents[2]
NAME = "20260103-090000-000001-digits-infer-M-K"
RUNNING = {"status": "running", "metrics": {}, "per_student": {}}


@pytest.fixture
def with_plots(tmp_path, monkeypatch) -> Path:
    """The sweep's folder, as seen from the one where it was typed."""
    monkeypatch.chdir(tmp_path)
    return Path("outputs/sweeps") / NAME


@pytest.fixture
def folder(with_plots, monkeypatch) -> Path:
    """The same; its plots, which take most of a report's time, are not drawn."""
    monkeypatch.setattr("infer.reports.sweep._draw", lambda *_: [])
    return with_plots


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "table.csv").open() as file:
        return list(csv.DictReader(file))


def column(report: Report, title: str) -> list[str]:
    table = report.sections[0]
    return [row[table.columns.index(title)] for row in table.rows]


def closing(report: Report, beginning: str) -> str:
    (line,) = (line for line in report.closing if line.startswith(beginning))
    return line


def of_m(m: str, *_: str) -> list[float]:
    return [90.0 + int(m) - 0.5, 90.0 + int(m) + 0.5]


def test_a_row_per_job(folder):
    write_sweep(folder, {"M": ["1", "2"], "K": ["3", "5"]}, of_m)
    shown = report_sweep(folder)
    assert shown.code == 0 and shown.title == "python launch.py -m M=1,2 K=3,5"
    assert column(shown, "job") == ["0-M=1,K=3", "1-M=1,K=5", "2-M=2,K=3", "3-M=2,K=5"]
    assert column(shown, "M") == ["1", "1", "2", "2"] and column(shown, "K") == ["3", "5", "3", "5"]
    assert column(shown, "test top-1 %")[3] == "92.00 ± 0.71 (2)"
    assert "state" not in shown.sections[0].columns
    assert shown.lines[0].startswith("in all: dataset=digits method=infer") and "ipc=10" in shown.lines[0].split()


def test_a_job_that_a_search_has_ended_early_is_no_failure(folder):
    pruned = {"status": "pruned", "error": "below the median", "metrics": {}, "per_student": {}}
    write_sweep(folder, {"M": ["1", "2", "3"]}, of_m, changes={1: pruned})
    shown = report_sweep(folder)
    assert shown.code == 0 and column(shown, "state") == ["done", "pruned", "done"]
    assert closing(shown, "2 of 3 jobs done") == "2 of 3 jobs done; 1 pruned"
    assert any("pruned: below the median" in note for note in shown.sections[0].notes)


def test_jobs_that_are_not_done_say_why(folder):
    endings = {
        1: {"status": "failed", "error": "loss is NaN", "metrics": {}},
        2: {"status": "interrupted", "metrics": {}},
        3: RUNNING,
        4: None,
    }
    write_sweep(folder, {"M": ["1", "2", "3", "4"], "K": ["3", "5"]}, of_m, changes=endings)
    shown = report_sweep(folder)
    assert shown.code == 1
    assert column(shown, "state") == ["done", "failed", "interrupted", "lost", "lost", "done", "done", "done"]
    assert column(shown, "M")[4] == "3" and column(shown, "K")[4] == "3" and column(shown, "test top-1 %")[4] == "-"
    log = f"outputs/sweeps/{NAME}/1-M=1,K=5/infer.log"
    notes = shown.sections[0].notes
    assert f"1-M=1,K=5: failed: loss is NaN; see {log}" in notes
    assert any(note.startswith("3-M=2,K=5: lost: killed or out of memory: its record has no end") for note in notes)
    assert "4-M=3,K=3: lost: it left no record: it never started, or was killed at once" in notes
    assert closing(shown, "4 of 8") == "4 of 8 jobs done; 1 failed, 1 interrupted, 2 lost"
    written = rows_of(folder)
    assert [row["state"] for row in written] == column(shown, "state")
    assert (written[1]["error"], written[1]["log"]) == ("loss is NaN", log) and written[4]["log"] == ""


def test_while_jobs_run_nothing_is_lost(folder):
    write_sweep(folder, {"M": ["1", "2", "3"]}, of_m, changes={1: RUNNING, 2: None}, ended=None)
    shown = report_sweep(folder)
    assert column(shown, "state") == ["done", "running", "not started"] and shown.code == 1


def test_null_and_unknown_values(folder):
    write_sweep(folder, {"teachers.min_top1": ["null", "50"], "M": ["1", "2"]}, changes={3: None})
    shown = report_sweep(folder)
    assert column(shown, "teachers.min_top1") == ["null", "null", "50", "50"]
    assert column(shown, "M") == ["1", "2", "1", "2"]


def test_before_any_job_has_started(folder):
    write_sweep(folder, {"M": ["1", "2"]}, changes={0: None, 1: None}, ended=None)
    shown = report_sweep(folder)
    assert column(shown, "M") == ["1", "2"] and column(shown, "state") == ["not started"] * 2


def test_the_best_by_val_is_reported_with_its_test_score(folder):
    write_sweep(folder, {"M": ["1", "3", "2"]}, of_m, "evaluate.split=val")
    best = closing(report_sweep(folder), "best")
    assert best == "best: 1-M=3, chosen on val (93.00 ± 0.71 (2)), test top-1 92.00 ± 0.71 (2)"


def test_a_choice_on_the_test_split_is_called_one(folder):
    write_sweep(folder, {"M": ["1", "2"]}, of_m)
    best = closing(report_sweep(folder), "best")
    assert best.startswith("best: 1-M=2, test top-1 92.00 ± 0.71 (2), CHOSEN ON THE TEST SPLIT")
    assert "type evaluate.split=val" in best


def test_incomparable_rows_have_no_best(folder):
    write_sweep(folder, {"labeling": ["static", "dynamic"]})
    shown = report_sweep(folder)
    assert shown.warning == "THESE NUMBERS CANNOT BE COMPARED: PROTOCOL digits_static, digits_dynamic"
    assert not any("best" in line for line in shown.closing)
    assert shown.sections[0].notes[0].startswith("following: ")
    _, warning, *_ = (folder / "table.md").read_text().strip().split("\n\n")
    assert warning == f"**{shown.warning}**"


def test_a_failed_job_of_another_protocol_does_not_matter(folder):
    failed = {"status": "failed", "error": "x", "environment": {}, "metrics": {}}
    write_sweep(folder, {"labeling": ["static", "dynamic"], "M": ["1", "2"]}, changes={2: failed, 3: failed})
    assert report_sweep(folder).warning is None


def test_seeds_are_repeats(folder):
    scores = {("1", "0"): 90.0, ("1", "1"): 92.0, ("2", "0"): 95.0, ("2", "1"): 95.0}
    write_sweep(folder, {"M": ["1", "2"], "seed": ["0", "1"]}, lambda m, seed: [scores[m, seed]] * 3)
    shown = report_sweep(folder)
    over = shown.sections[1]
    assert over.columns[:2] == ("over 2 seeds", "test top-1 %")
    assert [row[:2] for row in over.rows] == [["M=1", "91.00 ± 1.41 (2)"], ["M=2", "95.00 ± 0.00 (2)"]]
    assert closing(shown, "best").startswith("best: M=2 over 2 seeds, test top-1 95.00 ± 0.00 (2)")


def test_only_seeds(folder):
    write_sweep(folder, {"seed": ["0", "1", "2"]}, lambda seed: [90.0 + int(seed)], changes={2: RUNNING})
    shown = report_sweep(folder)
    assert shown.sections[1].rows[0][:2] == ["all", "90.50 ± 0.71 (2)"]
    assert not any("best" in line for line in shown.closing)


def test_a_repeated_job_counts_once(folder):
    """Workers that share a sweep end with the same numbers, which are not two measurements."""
    write_sweep(folder, {"worker": ["0", "1"], "seed": ["0", "1"]}, lambda worker, seed: [90.0 + 2 * int(seed)])
    assert report_sweep(folder).sections[1].rows[0][1] == "91.00 ± 1.41 (2)"


def test_further_students_have_columns(folder):
    students = {"convnet3": {"test/top1": summarise([90.0])}, "resnet8": {"test/top1": summarise([80.0, 82.0])}}
    write_sweep(folder, {"M": ["1", "2"]}, per_student=students)
    assert column(report_sweep(folder), "resnet8: test top-1 %") == ["81.00 ± 1.41 (2)"] * 2


def test_artefacts_are_counted_over_all_jobs(folder):
    account = stages(squeeze=["a", "b"], generate=["c"])
    account["generate"] |= {"made": 3, "reused": 0}
    write_sweep(folder, {"M": ["1", "2"]}, stages=account)
    counted = closing(report_sweep(folder), "artefacts")
    assert counted == "artefacts: 6 made, 4 reused (squeeze 0 and 4, generate 6 and 0)"
    assert [(row["made"], row["reused"]) for row in rows_of(folder)] == [("3", "2")] * 2


def test_csv(folder):
    write_sweep(folder, {"M": ["1", "2"], "evaluate.lr": ["1e-3", "5e-4"]}, of_m)
    report_sweep(folder)
    row = rows_of(folder)[3]
    assert list(row)[:3] == ["job", "M", "evaluate.lr"] and (row["M"], row["evaluate.lr"]) == ("2", "0.0005")
    assert (float(row["test/top1_mean"]), row["test/top1_n"], row["total_bytes"]) == (92.0, "2", "26152")
    assert {"state", "error", "log", "made", "reused"} <= row.keys()


def test_markdown(folder):
    write_sweep(folder, {"M": ["1", "2"]}, of_m, changes={1: {"status": "failed", "error": "use <lr> * 2"}})
    shown = report_sweep(folder)
    title, in_all, table, *rest = (folder / "table.md").read_text().strip().split("\n\n")
    assert title == "# `python launch.py -m M=1,2`" and in_all.startswith("in all: ")
    assert table.splitlines()[2].startswith("| 0-M=1 | 1 | 91.00 ± 0.71 (2) |")
    assert rest[0].startswith("1-M=2: failed: use \\<lr> \\* 2; see ")
    assert f"made again by: infer report outputs/sweeps/{NAME}" in rest
    assert shown.closing[-1] in rest


def test_infer_table_prints_the_same_rows(folder, capsys):
    write_sweep(folder, {"M": ["1", "2", "3"]}, of_m, changes={1: None})
    report_sweep(folder)
    assert infer(["table", NAME, "--csv"]) == 0
    assert capsys.readouterr().out == (folder / "table.csv").read_text()
    assert infer(["table", str(folder), "--csv"]) == 0
    assert capsys.readouterr().out == (folder / "table.csv").read_text()


def test_made_again_it_is_the_same(with_plots):
    write_sweep(with_plots, {"M": ["1", "2"]}, of_m, changes={1: None})
    report_sweep(with_plots)
    before = {path.name: path.read_bytes() for path in with_plots.iterdir() if path.is_file()}
    for name in before.keys() - {"sweep.json"}:
        (with_plots / name).unlink()
    report_sweep(with_plots)
    assert {path.name: path.read_bytes() for path in with_plots.iterdir() if path.is_file()} == before


def test_no_sweep_there(folder):
    with pytest.raises(UsageError, match="is not the folder of a sweep. List all runs"):
        report_sweep(folder)


@pytest.mark.parametrize(("ending", "light"), [(None, {"torch", "matplotlib"}), ({}, {"torch"})])
def test_it_needs_no_torch_and_without_scores_no_matplotlib(folder, ending, light):
    write_sweep(folder, {"M": ["1", "2"]}, changes={0: ending, 1: ending})
    script = f"""
import sys
from pathlib import Path
from infer.reports.sweep import report_sweep
report_sweep(Path({str(folder)!r}))
assert not {light!r} & sys.modules.keys()
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    finished = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert (folder / "figures/accuracy_over_M.svg").exists() == (ending is not None)
