"""Search: a sweep in which Optuna chooses the values of each job from the results of earlier jobs."""

import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from infer.config.checks import require
from infer.config.cluster import ClusterConfig, JoblibCluster, SlurmCluster
from infer.config.sweep import SweepConfig
from infer.errors import UsageError
from infer.pipeline.pruning import OBJECTIVE, STUDY_NAME, study_of
from infer.records.find import pick_sweep
from infer.records.folders import sweep_jobs
from infer.records.names import STUDY
from infer.records.run import DONE, PRUNED, SKIPPED, Run
from infer.records.sweeps import PlannedJob, SweepRecord, read_sweep
from infer.sweep.jobs import job_folder
from infer.sweep.space import Space
from infer.words import visible

_LOST = "lost"
"""Attribute of a trial that is true if its job was killed and its values are tried again."""
_ADVICE_ON_FAULTS = {
    "database is locked": "another search is at work on it. Wait until that has ended",
    "readonly database": "it is read-only. Give yourself write access to it and its folder",
    "unable to open database file": "it cannot be opened. Give yourself read and write access to it and its folder",
    "disk I/O error": "its disk fails or is full. Type the same command once that is fixed",
}
"""Advice by the message of SQLite, for faults that do not damage the study."""


def check(settings: SweepConfig, cluster: ClusterConfig, split: str, space: Space) -> None:
    """Raise UsageError where the settings do not define a search."""
    trials = settings.trials
    if importlib.util.find_spec("optuna") is None:
        raise UsageError('sweep.trials needs a package that is not installed. Type: pip install -e ".[tune]"')
    require(bool(space.ranges), "sweep.trials", trials, "there is nothing to search: give intervals or several values")
    require(split == "val", "sweep.trials", trials, f"a search maximises {OBJECTIVE}: type evaluate.split=val")
    others = [*settings.shaping, *(["sweep.equal_steps"] if settings.equal_steps else [])]
    require(not others, "sweep.trials", trials, f"{' and '.join(others)} would also decide on the jobs: leave that out")
    detached = isinstance(cluster, SlurmCluster) and cluster.detach
    require(not detached, "cluster.detach", "true", "a search chooses its jobs while it runs: run it in tmux")


def begin(folder: Path, space: Space, seed: int) -> None:
    """Create the study of a search in ``folder``, unless the study to resume is there.

    Raises UsageError where the file in its place is the study of another search, or not a study.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = folder / STUDY
    if path.exists():
        _require_same(folder, space)
        return
    folder.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(storage=f"sqlite:///{path.absolute()}", study_name=STUDY_NAME, direction="maximize")
    study.set_user_attr("space", space.described)
    study.set_user_attr("seed", seed)


def _require_same(folder: Path, space: Space) -> None:
    """Raise UsageError unless the study in ``folder`` can be read and is that of a search through ``space``."""
    path = folder / STUDY
    try:
        found = study_of(folder).user_attrs.get("space")
    except Exception as error:  # another kind of file leads to errors of SQLAlchemy, of SQLite or of Optuna
        if held := next((reason for reason in _ADVICE_ON_FAULTS if reason in str(error)), None):
            raise UsageError(f"{path} cannot be used now ({held}): {_ADVICE_ON_FAULTS[held]}") from error
        raise UsageError(f"{path} is not a study of this program. Remove it, or resume another sweep") from error
    if found != space.described:
        raise UsageError(
            f"{path} is the study of another search: it has {_listed(found)}, and this one {_listed(space.described)}. "
            "Type the same words, or start a search of its own without sweep.resume"
        )


class Search:
    """Jobs of a search, in batches."""

    def __init__(self, folder: Path, space: Space, num_trials: int, at_once: int, seed: int) -> None:
        import optuna

        self._folder, self._space, self._num_trials, self._at_once = folder, space, num_trials, at_once
        self._study = study_of(folder)
        # The seed depends on the number of trials, so that a resumed search does not repeat its first draws.
        self._study.sampler = optuna.samplers.TPESampler(seed=seed + len(self._study.trials), constant_liar=at_once > 1)
        self._study.pruner = optuna.pruners.NopPruner()  # jobs prune themselves

    def batches(self) -> Iterator[tuple[int, list[list[str]]]]:
        """Batches of jobs, as the number of the first job and the words of each, until there are enough trials.

        The caller runs the jobs of a batch before it asks for the next one.
        """
        self._settle(of_killed=True)
        while (left := self._num_trials - self._num_tried()) > 0:
            trials = [self._study.ask() for _ in range(min(left, self._at_once))]
            words = [self._space.words_of(trial) for trial in trials]
            self._plan(trials[0].number, words)
            yield trials[0].number, words
            if any(job.state == SKIPPED for job in self._settle(of_killed=False)):
                return

    def _num_tried(self) -> int:
        trials = self._study.get_trials(deepcopy=False)
        return sum(trial.state.is_finished() and not trial.user_attrs.get(_LOST) for trial in trials)

    def _settle(self, of_killed: bool) -> list[Run]:
        """Tell the study the results of the jobs that it waits for, and return these jobs.

        With ``of_killed``, the process of the search was killed, and the values of jobs without a result are tried
        again.
        """
        import optuna

        jobs = {job.planned.number: job for job in sweep_jobs(self._folder) if job.planned}
        waiting = [trial for trial in self._study.trials if trial.state is optuna.trial.TrialState.RUNNING]
        for trial in waiting:
            job = jobs.get(trial.number)
            score = job.score(OBJECTIVE) if job else None
            if job and job.state == DONE and score:
                self._study.tell(trial.number, score["mean"])
            elif job and job.state == PRUNED:
                self._study.tell(trial.number, state=optuna.trial.TrialState.PRUNED)
            else:
                self._study._storage.set_trial_user_attr(trial._trial_id, _LOST, of_killed)
                self._study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
                if of_killed and trial.params:
                    self._study.enqueue_trial(trial.params)
        return [jobs[trial.number] for trial in waiting if trial.number in jobs]

    def _plan(self, first: int, words: Sequence[list[str]]) -> None:
        """Add jobs to the sweep's record before they start, so that none is forgotten if it is killed."""
        record = read_sweep(self._folder)
        assert record is not None, "a sweep begins with its record"
        swept = self._space.ranges.keys()
        jobs = [PlannedJob(n, job_folder(n, each, list(swept)), each) for n, each in enumerate(words, start=first)]
        replace(record, jobs=[*record.jobs, *jobs]).write(self._folder)


def folder_of(word: str, outputs: Path) -> Path:
    """The folder of the search that ``sweep.resume`` names. Raises UsageError where there is none."""
    folder = pick_sweep(word, outputs)
    require(folder is not None and (folder / STUDY).is_file(), "sweep.resume", word, f"it is not a search with {STUDY}")
    assert folder is not None
    return folder


def jobs_at_once(cluster: ClusterConfig) -> int:
    """Number of jobs that run at the same time, and whose values are therefore chosen together."""
    if isinstance(cluster, JoblibCluster):
        return cluster.processes
    return cluster.array_parallelism if isinstance(cluster, SlurmCluster) else 1


def record_of(folder: Path, new: SweepRecord) -> SweepRecord:
    """The record of a search in ``folder``: ``new``, with the jobs of the search that is resumed, if any."""
    before = read_sweep(folder)
    return replace(new, jobs=before.jobs, removed=before.removed) if before else new


def _listed(described: object) -> str:
    """Description of a search, ``Space.described``, as text."""
    try:
        ranges = [f"{key}={','.join(values)}" for key, values in described["ranges"].items()]  # type: ignore[index] # of strangers
        return visible(" ".join([*ranges, *described["fixed"]]))  # type: ignore[index]
    except (TypeError, KeyError, AttributeError):
        return "unknown settings"
