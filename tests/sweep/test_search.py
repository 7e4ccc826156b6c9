"""Searches: a space of settings, a study that goes on where it was, and jobs that are ended early."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.records import record_of, write_json
from helpers.small_run import SMALL_TEACHERS
from hydra.core.override_parser.overrides_parser import OverridesParser

from infer.config.cluster import ClusterConfig, JoblibCluster, SlurmCluster
from infer.config.sweep import SweepConfig
from infer.errors import UsageError
from infer.pipeline.pruning import Pruned, pruning, study_of
from infer.records.sweeps import SweepRecord, read_sweep
from infer.sweep import start
from infer.sweep.search import Search, begin, check, folder_of, jobs_at_once
from infer.sweep.search import record_of as record_of_search
from infer.sweep.space import Space

pytest.importorskip("optuna", reason="an extra")

WORDS = "ipc=3 K=1,3 evaluate.lr=tag(log,interval(1e-4,1e-2)) M=interval(1,4)"


def space_of(words: str = WORDS) -> Space:
    return Space.of(OverridesParser.create().parse_overrides(words.split()))


@pytest.fixture
def folder(tmp_path) -> Path:
    """The folder of a search that has just begun."""
    begin(tmp_path, space_of(), seed=0)
    SweepRecord(space_of().in_words, []).write(tmp_path)
    return tmp_path


@pytest.fixture
def search(folder) -> Callable[..., Search]:
    """The search, as it is after each start of its command."""
    return lambda trials=6, at_once=1: Search(folder, space_of(), trials, at_once, seed=0)


def _end(folder: Path, number: int, status: str = "done", top1: float = 50.0) -> None:
    """Write the record of the job ``number``."""
    (job,) = (job for job in read_sweep(folder).jobs if job.number == number)
    write_json(folder / job.folder / "result.json", record_of("evaluate.split=val", [top1]) | {"status": status})


def test_what_is_searched_and_what_stays():
    space = space_of()
    assert space.fixed == ["ipc=3"]
    assert space.in_words == {"K": ["1,3"], "evaluate.lr": ["tag(log,interval(1e-4,1e-2))"], "M": ["interval(1,4)"]}
    corners = [" ".join(words) for words in space.corners()]
    assert corners == ["ipc=3 K=1 evaluate.lr=0.0001 M=1", "ipc=3 K=3 evaluate.lr=0.01 M=4"]


def test_jobs_are_in_the_space_planned_and_counted(folder, search):
    tried = []
    for first, jobs in search(trials=5, at_once=2).batches():
        assert first == len(tried)
        tried += jobs
        for number in range(first, first + len(jobs)):
            _end(folder, number)
    assert len(tried) == 5 and [job.overrides for job in read_sweep(folder).jobs] == tried
    values = [dict(word.split("=") for word in words) for words in tried]
    assert {each["ipc"] for each in values} == {"3"} and {each["K"] for each in values} <= {"1", "3"}
    assert all(1e-4 <= float(each["evaluate.lr"]) <= 1e-2 and each["M"] in "1234" for each in values)
    assert len({each["evaluate.lr"] for each in values}) == 5
    assert read_sweep(folder).jobs[0].folder == f"0-{','.join(tried[0][1:])}"


def test_the_study_is_told_what_became_of_each_job(folder, search):
    ends = [("done", 40.0), ("failed", 0.0), ("pruned", 0.0), ("done", 60.0)]
    for (first, _), (status, top1) in zip(search(trials=4).batches(), ends, strict=True):
        _end(folder, first, status, top1)
    study = study_of(folder)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL", "PRUNED", "COMPLETE"]
    assert study.best_value == 60.0


def test_a_killed_search_goes_on_with_the_values_that_it_was_at(folder, search):
    batches = search().batches()
    next(batches)
    _end(folder, 0)
    _, (at,) = next(batches)
    batches.close()  # job 1 left no end
    (first, (again,)) = next(search().batches())
    assert first == 2 and again == at
    assert [trial.state.name for trial in study_of(folder).trials] == ["COMPLETE", "FAIL", "RUNNING"]
    _end(folder, 2)
    assert sum(1 for number, _ in search(trials=4).batches() if not _end(folder, number)) == 2


def test_a_job_that_ended_after_its_search_was_killed_counts(folder, search):
    next(search().batches())
    _end(folder, 0, top1=70.0)
    assert next(search().batches())[0] == 1
    assert study_of(folder).best_value == 70.0


def test_skipped_jobs_end_a_search(folder, search):
    """There were too many failures (sweep.stop_on_failure)."""
    batches = search().batches()
    next(batches)
    _end(folder, 0, "skipped")
    assert list(batches) == []


def test_a_resumed_search_keeps_its_jobs(folder, search):
    next(search().batches())
    read_sweep(folder).write_removed(folder, "0-a")
    record = record_of_search(folder, SweepRecord(space_of().in_words, []))
    assert [job.number for job in record.jobs] == [0] and record.removed == ["0-a"]


@pytest.mark.parametrize("words", ["ipc=4 " + WORDS[6:], WORDS.replace("K=1,3", "K=1,5"), f"{WORDS} note=x"])
def test_a_study_of_another_search_is_refused(folder, words):
    begin(folder, space_of(f"{WORDS} device=cpu sweep.trials=9"), seed=0)  # what changes no number may differ
    with pytest.raises(UsageError, match=r"study\.db is the study of another search: it has K=1,3 ") as refusal:
        begin(folder, space_of(words), seed=0)
    assert "\n" not in str(refusal.value)


def test_a_file_that_is_no_study_is_refused(tmp_path):
    (tmp_path / "study.db").write_text("not a database, but longer than nothing")
    with pytest.raises(UsageError, match=r"study\.db is not a study of this program") as refusal:
        begin(tmp_path, space_of(), seed=0)
    assert "\n" not in str(refusal.value)


def test_a_study_of_another_program_is_refused(tmp_path):
    import optuna

    optuna.create_study(storage=f"sqlite:///{tmp_path / 'study.db'}", study_name="theirs")
    with pytest.raises(UsageError, match=r"study\.db is not a study of this program") as refusal:
        begin(tmp_path, space_of(), seed=0)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "space", [{"x": 1}, {"ranges": [1], "fixed": 7}, {"ranges": {"a\nb": "1"}, "fixed": []}, [1], "x"]
)
def test_a_study_of_our_name_by_others_is_refused(tmp_path, space):
    import optuna

    study = optuna.create_study(storage=f"sqlite:///{tmp_path / 'study.db'}", study_name="infer")
    study.set_user_attr("space", space)
    with pytest.raises(UsageError, match=r"study\.db is the study of another search") as refusal:
        begin(tmp_path, space_of(), seed=0)
    assert "\n" not in str(refusal.value)


def test_a_study_that_is_in_use_is_not_to_be_taken_away(folder, monkeypatch):
    def load(folder: Path) -> None:
        raise sqlite3.OperationalError("(sqlite3.OperationalError) database is locked")

    monkeypatch.setattr("infer.sweep.search.study_of", load)
    with pytest.raises(UsageError, match="another search is at work on it") as refusal:
        begin(folder, space_of(), seed=0)
    assert "Remove it" not in str(refusal.value)


def test_a_folder_without_a_search_is_refused(tmp_path):
    SweepRecord({}, []).write(tmp_path / "sweeps" / "s")
    with pytest.raises(UsageError, match=r"sweep.resume=\S+ is not possible: it is not a search"):
        folder_of(str(tmp_path / "sweeps" / "s"), tmp_path)


@pytest.mark.parametrize(
    ("words", "settings", "split", "cluster", "says"),
    [
        ("ipc=3", {}, "val", ClusterConfig(), "nothing to search"),
        (WORDS, {}, "test", ClusterConfig(), "type evaluate.split=val"),
        (WORDS, {"zip": [["M", "K"]], "equal_steps": True}, "val", ClusterConfig(), "sweep.zip and sweep.equal_steps"),
        (WORDS, {}, "val", SlurmCluster(detach=True), "cluster.detach=true is not possible"),
    ],
)
def test_settings_that_make_no_search(words, settings, split, cluster, says):
    with pytest.raises(UsageError) as refusal:
        check(SweepConfig(trials=3, **settings), cluster, split, space_of(words))
    assert says in str(refusal.value) and "\n" not in str(refusal.value)


class Jobs:
    """A launcher whose jobs end as they are told."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def launch(self, jobs: list[list[str]], initial_job_idx: int) -> None:
        raise self.error


def test_a_killed_job_does_not_end_a_search_and_other_errors_do(capsys):
    from infer.sweep import sweeper  # see there

    killed = type("UncompletedJobError", (RuntimeError,), {})
    sweeper._launch(Jobs(killed("Job 7_0 has no output\n(state: FAILED)")), [["M=1"]], 0)
    assert capsys.readouterr().out.count("\n") == 1
    with pytest.raises(RuntimeError, match="sbatch"):
        sweeper._launch(Jobs(RuntimeError("sbatch: error")), [["M=1"]], 0)


@pytest.mark.parametrize("queue_is_empty", [True, False])
def test_a_resumed_search_on_slurm_takes_a_new_snapshot(folder, monkeypatch, queue_is_empty):
    (folder / ".snapshot").mkdir()
    monkeypatch.setattr(start.cluster, "have_all_ended", lambda _: queue_is_empty)
    if queue_is_empty:
        start._make_room(folder)
    else:
        with pytest.raises(UsageError, match="are still in SLURM's queue"):
            start._make_room(folder)
    assert (folder / ".snapshot").exists() != queue_is_empty
    start._make_room(folder / "without")


def test_the_preset_searches_on_validation_images(resolved):
    config = resolved("sweep=tune")
    assert config.sweep.trials == 20 and config.evaluate.split.value == "val"


def test_only_a_search_is_resumed():
    with pytest.raises(UsageError, match="only a search is resumed"):
        SweepConfig(resume="there")


def test_jobs_that_run_at_once_are_chosen_together():
    assert jobs_at_once(ClusterConfig()) == 1 and jobs_at_once(JoblibCluster(processes=3)) == 3
    assert jobs_at_once(SlurmCluster(array_parallelism=5)) == 5


class Network:
    """A student, as far as a search looks at it."""

    def __init__(self, signature: str) -> None:
        self.signature = signature


def test_a_job_far_below_the_others_is_ended(folder, search):
    leading = Network("a")
    for number, _ in search(trials=5).batches():
        on_epoch = pruning(folder, number, leading)
        for epoch in (1, 2):
            on_epoch(Network("another"), {"epoch": epoch, "val/top1": 0.0})
            on_epoch(leading, {"epoch": epoch})
        if number == 4:
            with pytest.raises(Pruned, match="val/top1 of 9.00 after epoch 2 is below the median"):
                on_epoch(leading, {"epoch": 2, "val/top1": 9.0})
            _end(folder, number, "pruned")
        else:
            on_epoch(leading, {"epoch": 2, "val/top1": 40.0 + number})
            _end(folder, number, top1=50.0)
    assert study_of(folder).trials[-1].state.name == "PRUNED"


@pytest.mark.slow
def test_a_search_as_typed_and_resumed(launch_in, tmp_path):
    words = [*SMALL_TEACHERS, "method=random", "evaluate.steps=40", "evaluate.repeats=1", "evaluate.test_every=10"]
    words += ["ipc=1", "sweep=tune"]
    first = launch_in(tmp_path, *words, "sweep.trials=5")
    assert first.returncode == 0, first.stderr
    (sweep,) = (tmp_path / "outputs" / "sweeps").iterdir()
    again = launch_in(tmp_path, *words, "sweep.trials=7", f"sweep.resume={sweep.name}")
    assert again.returncode == 0, again.stderr
    assert len(list(sweep.glob("*/result.json"))) == 7 == len(study_of(sweep).trials)
    states = [json.loads(path.read_text())["status"] for path in sweep.glob("*/result.json")]
    assert set(states) <= {"done", "pruned"} and "best: " in again.stdout
    other = launch_in(tmp_path, *words, "seed=1", "sweep.trials=7", f"sweep.resume={sweep.name}")
    assert other.returncode == 2 and "another search" in other.stderr and other.stderr.count("\n") == 1
