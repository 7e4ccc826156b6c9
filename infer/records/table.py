"""Table of runs side by side, with a column for each varying setting and a line with the equal ones."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infer.console import duration, size
from infer.errors import UsageError
from infer.records.machines import PROMISE, differing
from infer.records.measurements import best_of, measurements_of, over_seeds
from infer.records.rows import Rows, side_by_side
from infer.records.run import DONE, Run
from infer.records.scale import AXES, costs_of
from infer.records.settings import ABSENT, Variation, has_effect
from infer.tables import Report, Section, count, from_here, is_number, is_summary, or_dash, shown

_SCORES = ("top1", "top5")
_MEASURES = tuple(f"{split}/{score}" for split in ("val", "test") for score in _SCORES)
_STEPS, _BYTES = "steps", "total_bytes"
_SECONDS, _MEMORY, _SOURCE = "seconds", "peak_memory_bytes", "costs"
_COSTS = {_SECONDS: "time", _MEMORY: "peak memory", _SOURCE: "time and memory are"}
"""Columns of runs with measured costs, with their titles."""
_MACHINE = "computed with/"
_ALWAYS_IN_DATA = ("state", "error", "log", "made", "reused")
"""Columns that are always part of the data for programs, but not always of the table."""


@dataclass(frozen=True)
class Choice:
    """Rows and columns of a table, and their order. Columns are named by their key, its last part or their title."""

    sort: str | None = None
    """Column to sort by; None keeps the given order."""
    reverse: bool = False
    columns: Sequence[str] | None = None
    """Columns to show; None for all."""
    where: Sequence[str] = ()
    """Conditions ``COLUMN=VALUE`` on varying columns; only rows that meet all are shown."""


EVERYTHING = Choice()


def tabulate(runs: Sequence[Run], choice: Choice = EVERYTHING) -> Report:
    """Table with one row per run, by ``choice``. Raises UsageError where it names an unknown column."""
    rows = side_by_side(runs)
    for condition in choice.where:
        rows = rows.at(_positions(rows, condition))
    return tabulate_rows(rows, choice)


def tabulate_rows(rows: Rows, choice: Choice = EVERYTHING) -> Report:
    """The table of ``rows``, with a warning if numbers cannot be compared, the equal settings, and the best run."""
    noun = "job" if rows.sweep else "run"
    unlike_machines = {key: values for key, values in differing(rows.runs).items() if key not in rows.columns}
    facts = [{noun: name} | _facts(rows, i) for i, name in enumerate(rows.names)]
    for key, values in unlike_machines.items():
        for fact, value in zip(facts, values, strict=True):
            fact[f"{_MACHINE}{key}"] = value
    keys = [*_keys(rows, facts), *(f"{_MACHINE}{key}" for key in unlike_machines)]
    if choice.sort is not None:
        facts = _sorted(facts, _column(choice.sort, keys, "--sort"), choice.reverse)
    measurements = measurements_of(rows)
    measured = [key for key in keys if key in _MEASURES]
    seeds = over_seeds(measurements, measured, [_title(key) for key in measured])
    best = best_of(rows)
    if choice.columns is not None:
        keys = list(dict.fromkeys(_column(column, keys, "--columns") for column in choice.columns))
    return Report(
        data=[{key: fact.get(key) for key in dict.fromkeys((noun, *keys, *_ALWAYS_IN_DATA))} for fact in facts],
        warning=_warning(rows),
        lines=[f"in all: {_base_line(rows.variation)}"],
        sections=[_section(noun, rows, keys, facts), *([seeds] if seeds else [])],
        closing=[*_states(rows, noun), *([best] if best else []), _artefacts(rows.runs), *_promise(unlike_machines)],
    )


def _positions(rows: Rows, condition: str) -> list[int]:
    """Positions of the runs that meet ``condition``, ``COLUMN=VALUE``.

    Raises UsageError where there is no such varying column, or no row has the value.
    """
    column, equals, text = condition.partition("=")
    if not equals:
        raise UsageError(f"--where {condition}: write COLUMN=VALUE, for example --where M=2")
    values = rows.columns[_column(column, list(rows.columns), "--where")]
    found = [i for i, value in enumerate(values) if _is_written(value, text)]
    if not found:
        there = ", ".join(dict.fromkeys(map(shown, values)))
        raise UsageError(f"--where {condition}: no row has this value; there are {there}")
    return found


def _is_written(value: Any, text: str) -> bool:
    """True if ``text`` is a notation of ``value``, such as 1e-3 for 0.001."""
    try:
        return bool(float(text) == value)
    except ValueError:
        return shown(value) == text


def _section(noun: str, rows: Rows, keys: list[str], facts: list[dict[str, Any]]) -> Section:
    numbers = {key for key, values in rows.columns.items() if all(is_number(v) or v in (None, ABSENT) for v in values)}
    return Section(
        (noun, *map(_title, keys)),
        [
            [fact[noun], *(shown(fact[key]) if key in rows.columns else _cell(key, fact.get(key)) for key in keys)]
            for fact in facts
        ],
        {_STEPS, *map(_title, (_BYTES, _SECONDS, _MEMORY))} | numbers,
        [*_following(rows.variation), *(_ending(fact[noun], fact) for fact in facts if fact["state"] != DONE)],
    )


def _facts(rows: Rows, position: int) -> dict[str, Any]:
    run = rows.runs[position]
    return {
        **rows.values(position),
        **_costs(rows, run),
        **{measure: run.score(measure) for measure in _MEASURES},
        **_further_students(run),
        _STEPS: run.record["environment"].get("student_steps"),
        _BYTES: run.record["storage"].get("total_bytes"),
        "state": run.state,
        "error": run.reason,
        "log": str(from_here(run.log)) if run.log else None,
        "made": _counted(run, "made").total(),
        "reused": _counted(run, "reused").total(),
    }


def _costs(rows: Rows, run: Run) -> dict[str, Any]:
    """Costs of a run that records them, and its sizes, since settings may leave these to the data set."""
    costs = costs_of(run)
    if costs is None:
        return {}
    sizes = {f"scale.{axis}": costs.sizes[axis] for axis in AXES if f"scale.{axis}" in rows.columns}
    return sizes | {_SECONDS: costs.shown(_SECONDS), _MEMORY: costs.shown(_MEMORY), _SOURCE: costs.source}


def _further_students(run: Run) -> dict[str, Any]:
    """The leading score of every student except the first."""
    measure = f"{run.split}/top1"
    return {f"{arch}: {measure}": metrics.get(measure) for arch, metrics in list(run.record["per_student"].items())[1:]}


def _keys(rows: Rows, facts: list[dict[str, Any]]) -> list[str]:
    """Keys of the columns after the run's name; scores only if there are any, the state only if not all are done."""
    measured = [key for key in _MEASURES if any(fact[key] for fact in facts)]
    students = dict.fromkeys(key for run in rows.runs for key in _further_students(run))
    state = ["state"] if len(rows.done) < len(rows.runs) else []
    costs = _COSTS if any(_SOURCE in fact for fact in facts) else ()
    return [*rows.columns, *measured, *students, _STEPS, _BYTES, *costs, *state]


def _warning(rows: Rows) -> str | None:
    unlike = "; ".join(f"{what} {', '.join(values)}" for what, values in rows.unlike.items())
    return f"THESE NUMBERS CANNOT BE COMPARED: {unlike}" if unlike else None


def _following(varying: Variation) -> Iterator[str]:
    """Note with the number of settings that differ only because a choice differs."""
    folded = [f"{count(settings, 'setting')} from {group}" for group, settings in varying.following.items()]
    if folded:
        yield f"following: {', '.join(folded)}"


def _ending(name: str, fact: dict[str, Any]) -> str:
    """Note on a run that is not done: the state, the reason, and the log file."""
    return ": ".join(filter(None, [name, fact["state"], fact["error"]])) + (
        f"; see {fact['log']}" if fact["log"] else ""
    )


def _states(rows: Rows, noun: str) -> Iterator[str]:
    """Line with the number of runs by state, if not all are done."""
    others = Counter(run.state for run in rows.runs if run.state != DONE)
    if others:
        listed = ", ".join(f"{number} {state}" for state, number in others.items())
        yield f"{len(rows.done)} of {count(rows.runs, noun)} done; {listed}"


def _artefacts(runs: Sequence[Run]) -> str:
    """Line with the number of artefacts that all runs together made and reused."""
    made, reused = (sum((_counted(run, what) for run in runs), Counter()) for what in ("made", "reused"))
    stages = [
        stage
        for stage in dict.fromkeys(s for run in runs for s in run.record["stages"])
        if made[stage] or reused[stage]
    ]
    parts = ", ".join(f"{stage} {made[stage]} and {reused[stage]}" for stage in stages)
    return f"artefacts: {made.total()} made, {reused.total()} reused" + (f" ({parts})" if parts else "")


def _promise(unlike_machines: Mapping[str, Any]) -> list[str]:
    return [f"computed with different {' and '.join(unlike_machines)}: {PROMISE}"] if unlike_machines else []


def _counted(run: Run, what: str) -> Counter[str]:
    return Counter({stage: account[what] for stage, account in run.record["stages"].items()})


def _column(word: str, keys: list[str], option: str) -> str:
    """The key that ``word`` names, in full, by its last part or by its title. Raises UsageError where there is none."""
    short = {name: key for key in reversed(keys) for name in (key.split("/")[-1], _title(key))}
    key = word if word in keys else short.get(word)
    if key is None:
        named = word if word.strip() else repr(word)
        raise UsageError(f"{option} {named} is not a column of this table; there are {', '.join(keys) or 'none'}")
    return key


def _sorted(facts: list[dict[str, Any]], key: str, reverse: bool) -> list[dict[str, Any]]:
    """Rows sorted by one column, those without a value last."""
    there = [fact for fact in facts if fact.get(key) is not None]
    there.sort(key=lambda fact: _rank(fact[key]), reverse=reverse)
    return there + [fact for fact in facts if fact.get(key) is None]


def _rank(value: Any) -> tuple[int, Any]:
    """Sort key: numbers by size and summaries by mean, before text in alphabetical order."""
    value = value["mean"] if is_summary(value) else value
    return (0, value) if is_number(value) else (1, shown(value))


def _title(key: str) -> str:
    head, _, score = key.rpartition("/")
    if score in _SCORES:
        return f"{head} {score.replace('top', 'top-')} %"
    return "bytes" if key == _BYTES else _COSTS.get(key, key)


def _cell(key: str, value: Any) -> str:
    if key in (_BYTES, _MEMORY) and value is not None:
        return size(value)
    if key == _SECONDS and value is not None:
        return duration(value)
    return or_dash(value)


def _base_line(varying: Variation) -> str:
    """The equal settings of all runs as text: the options of groups, and the top-level numbers."""
    options = [f"{group}={option}" for group, option in varying.same_choices.items() if option and "/" not in group]
    numbers = {key: value for key, value in varying.equal.items() if "." not in key and is_number(value)}
    told = [f"{key}={shown(value)}" for key, value in numbers.items() if has_effect(key)]
    return " ".join([*options, *told]) or "nothing"
