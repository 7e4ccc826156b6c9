"""Machines that numbers were computed on: runs made under unlike ones are told apart, whatever their settings."""

import json

import pytest

RUNS = "20260101-090000-000001-digits-infer-ipc10", "20260102-090000-000001-digits-infer-ipc10"
CPU = {"type": "cpu", "name": "x"}
GPU = {"type": "cuda", "name": "a GPU"}


def computed_on(*machines, precision="fp32"):
    made = [{"device": device, "threads": threads} for device, threads in machines]
    return {"device": CPU, "threads": 2, "precision": precision, "computed_on": made}


@pytest.mark.parametrize(
    ("other", "column", "values"),
    [
        (computed_on((CPU, 1)), "threads", ["2", "1"]),
        (computed_on((CPU, 2), (CPU, 8)), "threads", ["2", "2+8"]),
        (computed_on((GPU, 2)), "device", ["x", "a GPU"]),
        (computed_on((CPU, 2), precision="bf16"), "precision", ["fp32", "bf16"]),
    ],
    ids=["threads", "two machines", "device", "precision"],
)
def test_what_numbers_were_computed_with_is_a_column_and_a_difference(infer, add_run, other, column, values):
    add_run(RUNS[0], environment=computed_on((CPU, 2)))
    add_run(RUNS[1], environment=other)
    _, out, _ = infer("table", *RUNS, "--json")
    assert [row[f"computed with/{column}"] for row in json.loads(out)] == values
    _, out, _ = infer("table", *RUNS)
    assert f"computed with different {column}" in out and "same bits only" in out
    code, out, _ = infer("diff", *RUNS)
    (line,) = [line for line in out.splitlines() if line.split()[:1] == [column]]
    assert code == 0 and all(value in line for value in values) and "same bits only" in out


def test_nothing_is_said_of_equal_machines(infer, add_run):
    add_run(RUNS[0], environment=computed_on((CPU, 2)))
    add_run(RUNS[1])  # of a version that recorded the run's own machine alone
    _, out, _ = infer("table", *RUNS)
    assert "computed with" not in out
