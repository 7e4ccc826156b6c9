"""Records of an odd shape: a row that says what is wrong, in tables and lists that go on with all the others."""

import copy
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.records import record_of, stages, write_json, write_run, write_sweep

from infer.commands.main import run
from infer.records.run import Run

GOOD, OTHER, ODD = "20260101-000000-1-good", "20260101-000000-2-other", "20260101-000000-3-odd"
VALUES = (None, 3, "x", [], [1], {"a": 3}, {"a": None}, {"a": [1]}, {"a": {}}, True)


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """Two whole runs."""
    for name in (GOOD, OTHER):
        write_run(tmp_path / "runs" / name)
    return tmp_path


@pytest.fixture
def infer(outputs, capsys) -> Callable[..., tuple[int, str, str]]:
    """Types a command; gives its code, its output and its errors."""

    def type_in(*words: str) -> tuple[int, str, str]:
        code = run([*words, "--outputs", str(outputs)])
        return (code, *capsys.readouterr())

    return type_in


def _commands_go_on(infer: Callable[..., tuple[int, str, str]], says: str | None = None) -> None:
    """All runs are listed, the odd one with what is wrong, and commands on it alone say it in a line."""
    for words in (["ls"], ["table", GOOD, OTHER, ODD], ["gc"]):
        code, out, err = infer(*words)
        assert (code, err) == (0, ""), (words, err)
        if words != ["gc"]:
            assert GOOD in out and OTHER in out and ODD in out
            assert says is None or ("unreadable" in out and says in " ".join(out.split())), out
    assert infer("diff", GOOD, OTHER)[0] == 0
    assert infer("diff")[2] == ""
    for words in (["show", ODD], ["diff", GOOD, ODD], ["report", ODD]):
        code, _, err = infer(*words)
        assert code in (0, 1, 2) and "unexpected" not in err and err.count("\n") == (code == 2), (words, err)


@pytest.mark.parametrize(
    "key",
    [
        *("status", "config", "choices", "planned", "sets", "stages", "metrics", "per_student", "baselines"),
        *("storage", "analyses", "environment"),
    ],
)
def test_an_entry_of_another_shape(infer, outputs, key):
    record = record_of("", (97.0, 98.0))
    odd = outputs / "runs" / ODD
    for value in VALUES:
        write_json(odd / "result.json", record | {key: value})
        if Run(ODD, odd).state == "unreadable":
            assert Run(ODD, odd).record["error"] == f"result.json cannot be read: {key} is not what a run writes there"
    for value in (3, [1]):
        if value != 3 or key != "error":
            write_json(odd / "result.json", record | {key: value})
            _commands_go_on(infer, f"{key} is not what a run writes there")


@pytest.mark.parametrize(
    "key",
    [
        *("metrics.test/top1", "per_student.convnet3", "baselines.full", "baselines.full.metrics.test/top1"),
        *("storage.total_bytes", "environment.git_commit", "environment.protocol", "stages.squeeze.made"),
        *("config.M", "config.K", "config.teachers", "config.teachers.archs", "config.dataset", "config.evaluate"),
        "choices.dataset",
    ],
)
def test_a_value_of_another_shape(infer, outputs, key):
    metrics = record_of("", (97.0, 98.0))["metrics"]
    record = record_of("", (97.0, 98.0)) | {"baselines": {"full": {"metrics": metrics}}, "stages": stages(squeeze=[])}
    record["per_student"] = {"convnet3": metrics}
    top, *path = key.split(".")
    for value in ([1], {"a": 3}):
        changed: dict[str, Any] = copy.deepcopy(record)
        group = changed[top]
        for part in path[:-1]:
            group = group[part]
        group[path[-1]] = value
        write_json(outputs / "runs" / ODD / "result.json", changed)
        _commands_go_on(infer, f"{top} is not what a run writes there" if value == [1] else None)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"a":' * 100_000],
    ids=["empty", "open", "list", "null", "not UTF-8", "deep list", "deep"],
)
def test_a_file_that_holds_no_record(infer, outputs, content):
    (outputs / "runs" / ODD).mkdir()
    (outputs / "runs" / ODD / "result.json").write_bytes(content)
    _commands_go_on(infer, "result.json cannot be read")


@pytest.mark.parametrize(
    "content",
    [b"{", b"[]", b"null", b'{"dataset": 3, "done": "x"}', b'{"sizes": {"K": "x"}, "doing": "x"}', b"[" * 100_000],
    ids=["open", "list", "null", "values", "deep values", "deep"],
)
@pytest.mark.parametrize("file", ["distilled/manifest.json", "progress.json"])
def test_an_odd_file_beside_the_record(infer, outputs, file, content):
    odd = outputs / "runs" / ODD
    write_run(odd, status="running" if file == "progress.json" else "done")
    (odd / file).write_bytes(content)
    _commands_go_on(infer)
    read = Run(ODD, odd)
    assert (read.progress if file == "progress.json" else read.manifest) == {}


_WORDS = (b"{", b"x: [", b"3", b"a: b", b"null", b"\xff\xfe", b"- !!python/object:os.system x")


@pytest.mark.parametrize("content", _WORDS, ids=["open", "open list", "number", "map", "null", "not UTF-8", "object"])
def test_words_that_cannot_be_read(infer, outputs, content):
    write_run(outputs / "runs" / ODD)
    (outputs / "runs" / ODD / ".hydra" / "overrides.yaml").write_bytes(content)
    _commands_go_on(infer)


def test_a_record_that_is_a_pipe_is_not_waited_for(outputs):
    (outputs / "runs" / ODD).mkdir()
    os.mkfifo(outputs / "runs" / ODD / "result.json")
    writer = os.open(outputs / "runs" / ODD / "result.json", os.O_RDWR)
    hang_up = threading.Timer(5, os.close, (writer,))
    hang_up.start()
    assert "not a regular file" in Run(ODD, outputs / "runs" / ODD).record["error"]
    assert hang_up.is_alive()
    hang_up.cancel()
    os.close(writer)


def test_links_in_a_circle_show_no_run_twice(infer, outputs):
    group = outputs / "runs" / "group"
    group.mkdir()
    (group / "loop").symlink_to("..")
    (group / "itself").symlink_to("itself")
    assert infer("ls")[1].count(GOOD) == 1


def test_needs_of_a_record_that_is_odd_elsewhere_are_known(infer, outputs):
    odd = outputs / "runs" / ODD
    record = record_of("", (97.0, 98.0)) | {"planned": {"squeeze": ["a" * 64]}}
    write_json(odd / "result.json", record | {"metrics": 3})
    assert "a" * 64 in Run(ODD, odd).needed
    write_json(odd / "result.json", record | {"stages": 3})
    assert Run(ODD, odd).needed == set(), "a part of them would look like all"


@pytest.mark.parametrize(
    "change",
    [
        *({"jobs": jobs} for jobs in (3, None, [3], [{"number": "x", "folder": 3, "overrides": 4}])),
        *({"jobs": [{"number": 1, "folder": "x", "overrides": words}]} for words in (None, [3])),
        {"jobs": [{"number": 1, "folder": "../x", "overrides": []}]},
        *({key: 3} for key in ("swept", "words", "started", "ended", "more")),
        "",
        "[]",
        "{",
    ],
)
def test_an_odd_plan_of_a_sweep_leaves_the_records_of_its_jobs(infer, outputs, change):
    name = "20260101-000000-9-M"
    sweep = write_sweep(outputs / "sweeps" / name, {"M": ["1", "2"]})
    plan = json.loads((sweep / "sweep.json").read_text())
    (sweep / "sweep.json").write_text(change if isinstance(change, str) else json.dumps(plan | change))
    for words in (["ls"], ["table", name], ["gc"]):
        code, out, err = infer(*words)
        assert (code, err) == (0, "") and (words == ["gc"] or ("0-M=1" in out and "1-M=2" in out))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("metrics.test/top1.mean", 10**400),
        ("metrics.test/top1.n", 10**400),
        ("metrics.test/top1.std", float("inf")),
        ("storage.total_bytes", float("nan")),
        ("stages.squeeze.seconds", float("inf")),
        ("environment.threads", "two"),
        ("environment.device", "cpu"),
        ("environment.computed_on", [{"device": None}]),
        ("environment.precision", {"a": 3}),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_value_that_would_end_a_command(infer, outputs, key, value):
    _write_with(outputs, key, value)
    _commands_go_on(infer, f"{key.partition('.')[0]} is not what a run writes there")


@pytest.mark.parametrize(("key", "value"), [("config.ipc", float("inf")), ("stages.squeeze.seconds", None)])
def test_a_value_that_is_shown_as_it_is(infer, outputs, key, value):
    _write_with(outputs, key, value)
    _commands_go_on(infer)


def test_text_of_a_record_moves_no_cursor(infer, outputs):
    """Whoever wrote it: a terminal obeys escapes."""
    _write_with(outputs, "config.dataset.name", "\x1b[31mred\n")
    for words in (["ls"], ["show", ODD], ["table", GOOD, ODD], ["diff", GOOD, ODD]):
        out = infer(*words)[1]
        assert "\x1b" not in out and "\\x1b[31mred" in out, words


def test_an_unreadable_progress_file_is_none(infer, outputs):
    _write_with(outputs, "status", "running")
    whole = {"stage": "squeeze", "doing": "x", "done": 1, "total": 2, "unit": "images", "per_second": 1.0}
    whole |= {"left_s": 1.0, "run_left_s": 1.0}
    for key, value in (("left_s", float("inf")), ("unit", None), ("per_second", 10**400)):
        write_json(outputs / "runs" / ODD / "progress.json", whole | {key: value})
        code, out, err = infer("watch", ODD, "--once")
        assert (code, err) == (0, "") and "1 running" in out and "squeeze" not in out


@pytest.mark.parametrize("key", ["sets", "environment.threads", "storage.total_bytes"])
def test_a_record_without_what_a_row_of_results_needs(infer, outputs, monkeypatch, key):
    monkeypatch.setattr("infer.commands.results.add_results", lambda _: pytest.fail("nothing is added"))
    _write_with(outputs, key, None)
    code, _, err = infer("results", "matrix", "--add", ODD)
    assert (code, err.count("\n")) == (2, 1) and "unexpected" not in err and ODD in err


def _write_with(outputs: Path, key: str, value: Any) -> None:
    """Write the odd run with ``value`` under ``key``; None: without the key, but for seconds."""
    record = json.loads(json.dumps(record_of("", (97.0, 98.0)) | {"stages": stages(squeeze=["a" * 64])}))
    *path, last = key.split(".")
    group: Any = record
    for part in path:
        group = group[part]
    if value is None and last != "seconds":
        group.pop(last, None)
    else:
        group[last] = value
    write_json(outputs / "runs" / ODD / "result.json", record)
