"""infer show prints one run in full; infer table prints what varies between several."""

import csv
import io
import json

import pytest
from helpers.records import signature_of, stages

from infer.records.statistics import summarise

RUN = "20260101-090000-000001-digits-infer-ipc10"
SWEEP = "20260103-090000-000001-digits-infer"


def test_show_says_everything(infer, add_run):
    top1 = {"test/top1": summarise([97.0, 98.0]), "test/top1_best_epoch": summarise([98.0, 99.0])}
    baseline = {
        "per_student": {"convnet3_w32_batchnorm": {"test/top1": summarise([50.0, 60.0])}},
        "protocol": "digits_static+hard",
        "student_steps": 400,
        "storage": {"total_bytes": 25192},
    }
    add_run(
        RUN,
        "method.lr=0.1",
        metrics=top1 | {"teacher/resnet8_w8/top1": summarise([98.0])},
        per_student={"convnet3_w32_batchnorm": top1, "resnet8": top1},
        baselines={"random_hard": baseline},
        stages=stages(squeeze=[signature_of("teacher")], generate=[]),
    )
    code, out, _ = infer("show", RUN)
    lines = [line.split() for line in out.splitlines()]
    assert code == 0 and lines[0] == [RUN, "done"]
    assert ["files:", "distilled/,", "infer.log,", "result.json"] in lines
    assert ["method", "infer"] in lines and ["lr", "0.1"] in lines and ["K", "7"] in lines and ["M", "4"] in lines
    assert ["squeeze", "1", "0", "1", "0.0", "s"] in lines and not any(line[:1] == ["generate"] for line in lines)
    own = "97.50 ± 0.71 (2)  98.50 ± 0.71 (2)"
    assert sum(own.split() == line[3:11] for line in lines) == 2  # both students
    assert "random_hard digits_static+hard convnet3_w32_batchnorm 55.00 ± 7.07 (2) - 400 25.2 kB".split() in lines
    assert ["resnet8_w8", "98.00", "(1)"] in lines
    assert ["total_bytes", "26152"] in lines and ["git_commit", "a" * 40] in lines


def test_show_of_a_protocol_that_reports_the_best_epoch_lists_the_last_beside_it(infer, add_run):
    best, last = summarise([98.0, 99.0]), summarise([91.0, 92.0])
    scores = {"test/top1": best, "test/top1_best_epoch": best, "test/top1_last_epoch": last}
    add_run(RUN, metrics=scores, per_student={"resnet8": scores})
    lines = infer("show", RUN)[1].splitlines()
    (head,) = [line for line in lines if line.startswith("set ")]
    assert "test top-1 %  " in head and head.index("test top-1 best epoch %") < head.index("test top-1 last epoch %")
    (row,) = [line for line in lines if "resnet8 " in line and "91.50" in line]
    assert row.split().index("98.50") < row.split().index("91.50") and row.count("98.50 ± 0.71 (2)") == 2


def test_show_as_json_holds_the_whole_record(infer, add_run):
    folder = add_run(RUN)
    shown = json.loads(infer("show", RUN, "--json")[1])
    assert shown["folder"] == str(folder) and "result.json" in shown["files"]
    assert json.loads((folder / "result.json").read_text()).items() <= shown.items()


def test_show_of_a_failed_run_says_why(infer, add_run):
    add_run(RUN, status="failed", error="no space left", metrics={}, per_student={}, storage={}, stages={})
    assert "error: no space left" in infer("show", RUN)[1]


def test_a_sweep_over_a_protocol_s_settings_compares_them_though_some_jobs_have_a_star(infer, add_run):
    names = []
    for number, star in enumerate(("", "*")):
        words, scores = f"evaluate.lr={2 - number}e-3", [90.0 + number, 91.0 + number]
        environment = {"protocol": f"digits_static{star}", "student_steps": 400}
        names.append(f"{SWEEP}/{number}")
        for folder in (names[-1], f"{RUN}{number}"):
            add_run(folder, words, scores, environment=environment)
    told = infer("table", *names)[1]
    assert "CANNOT BE COMPARED" not in told and "best" in told
    assert "CANNOT BE COMPARED: PROTOCOL digits_static, digits_static*" in infer("table", f"{RUN}0", f"{RUN}1")[1]


@pytest.fixture
def sweep(add_run):
    """M by learning rate; the best job is the last but one."""
    jobs = [("M=1", "1e-3", 90), ("M=2", "1e-3", 95), ("M=1", "5e-4", 97), ("M=2", "5e-4", 91)]
    for number, (m, lr, top1) in enumerate(jobs):
        add_run(f"{SWEEP}/{number}", f"{m} evaluate.lr={lr}", [top1 - 1.0, top1 + 1.0])
    return SWEEP


def test_columns_are_what_varies(infer, sweep):
    code, out, _ = infer("table", sweep)
    base, _, head, *lines = out.splitlines()
    assert code == 0
    assert base.startswith("in all: dataset=digits method=infer labeling=static")
    assert "ipc=10" in base.split() and "M=" not in base and "worker" not in base
    assert head.split() == "job evaluate.lr M test top-1 % test top-5 % steps bytes".split()
    assert lines[1].split() == "1 0.001 2 95.00 ± 1.41 (2) 100.00 ± 0.00 (2) 400 26.2 kB".split()


@pytest.mark.parametrize(
    ("words", "order"),
    [((), "0123"), (("--sort", "top1"), "0312"), (("--sort", "top1", "--reverse"), "2130"), (("--sort", "M"), "0213")],
)
def test_sorted(infer, sweep, words, order):
    rows = list(csv.DictReader(io.StringIO(infer("table", sweep, "--csv", *words)[1])))
    assert "".join(row["job"] for row in rows) == order
    assert {float(row["test/top1_mean"]) for row in rows} == {90, 95, 97, 91}


@pytest.mark.parametrize("column", ["bytes", "total_bytes"])
def test_sorted_by_bytes_however_the_column_is_called(infer, add_run, column):
    for number, total in enumerate([3000, 800, 20000]):
        add_run(f"{SWEEP}/{number}", f"M={number + 1}", storage={"total_bytes": total})
    rows = list(csv.DictReader(io.StringIO(infer("table", SWEEP, "--csv", "--sort", column)[1])))
    assert [row["total_bytes"] for row in rows] == ["800", "3000", "20000"]


def test_an_unknown_column_lists_those_there_are(infer, sweep):
    code, _, err = infer("table", sweep, "--sort", "accuracy")
    assert code == 2 and "there are evaluate.lr, M, test/top1" in err


@pytest.mark.parametrize("words", [("--columns", ""), ("--columns", " "), ("--columns", "M,"), ("--sort", "")])
def test_an_empty_column_lists_those_there_are(infer, sweep, words):
    code, out, err = infer("table", sweep, *words)
    assert (code, out) == (2, "") and err.count("\n") == 1
    empty = words[1].rpartition(",")[2]
    assert f"{words[0]} {empty!r} is not a column of this table; there are evaluate.lr" in err


def test_a_column_that_is_named_twice_is_shown_once(infer, sweep):
    head = infer("table", sweep, "--columns", "M,top1,test/top1,M")[1].splitlines()[2]
    assert head.split() == "job M test top-1 %".split()


def test_failed_and_unreadable_jobs_stay_in_the_table(infer, sweep, add_run, outputs):
    add_run(f"{SWEEP}/4", "M=3 evaluate.lr=1e-3", status="failed", error="loss is NaN", metrics={})
    (add_run(f"{SWEEP}/5") / "result.json").write_text("{")
    _, out, _ = infer("table", sweep)
    lines = out.splitlines()
    assert lines[2].split()[1:3] == ["evaluate.lr", "M"]
    assert lines[7].split()[:3] == ["4", "0.001", "3"] and lines[7].split()[-1] == "failed"
    assert lines[8].split()[-1] == "unreadable"
    assert "4: failed: loss is NaN; see" in out


def test_runs_scored_on_val_have_their_own_columns(infer, add_run):
    add_run(RUN, "evaluate.split=val")
    add_run(RUN.replace("0101", "0102"))
    warning, _, _, head, *_ = infer("table", "0101", "0102")[1].splitlines()
    assert warning == "THESE NUMBERS CANNOT BE COMPARED: TEST SPLIT val, test"
    assert "val top-1 %" in head and "test top-1 %" in head


def test_markdown(infer, sweep):
    base, _, head, *_ = infer("table", sweep, "--md")[1].splitlines()
    assert base.startswith("in all: ") and head.startswith("| job | evaluate.lr | M |")
