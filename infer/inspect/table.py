"""``infer table``: runs side by side, with a column for what varies between them and one line for what does not."""

from collections.abc import Sequence
from typing import Any

from infer.console import size
from infer.errors import UsageError
from infer.inspect.render import Report, Section, is_summary, or_dash, shown
from infer.inspect.runs import DONE, UNREADABLE, Run
from infer.inspect.settings import Variation, settings_of, variation

_SCORES = ("top1", "top5")
_STEPS, _BYTES = "steps", "total_bytes"


def tabulate(runs: Sequence[Run], sort: str | None = None, reverse: bool = False) -> Report:
    """One row per run, in the order given or by the column ``sort``; raises UsageError when that is no column."""
    readable = [run for run in runs if run.state != UNREADABLE]
    varying = variation([settings_of(run) for run in readable])
    columns = {**varying.choices, **varying.settings}
    of_run = {run.folder: {key: values[i] for key, values in columns.items()} for i, run in enumerate(readable)}
    rows = [_facts(run, of_run.get(run.folder, {})) for run in runs]
    keys = _keys(runs, list(columns), rows)
    if sort is not None:
        rows = _sorted(rows, keys, sort, reverse)
    data = [{key: row.get(key) for key in ("run", *keys)} | {"error": row["error"]} for row in rows]
    section = Section(
        ("run", *map(_title, keys)),
        [[row["run"], *(_cell(key, row.get(key)) for key in keys)] for row in rows],
        {_STEPS, _title(_BYTES)} | {key for key in columns if all(_is_number(row.get(key, 0)) for row in rows)},
        [f"{row['run']}: {row['error']}" for row in rows if row["error"]],
    )
    return Report(data=data, lines=[f"in all: {_base_line(varying)}"], sections=[section])


def _facts(run: Run, varying: dict[str, Any]) -> dict[str, Any]:
    scores = {f"{split}/{score}": run.score(f"{split}/{score}") for split in ("val", "test") for score in _SCORES}
    return {
        "run": run.name,
        **varying,
        **scores,
        _STEPS: run.record["environment"].get("student_steps"),
        _BYTES: run.record["storage"].get("total_bytes"),
        "state": run.state,
        "error": run.record["error"],
    }


def _keys(runs: Sequence[Run], varying: list[str], rows: list[dict[str, Any]]) -> list[str]:
    """The columns after the run's name: the state only when it tells something, scores only where there are any."""
    scores = [f"{split}/{score}" for split in ("val", "test") for score in _SCORES]
    measured = [key for key in scores if any(row[key] for row in rows)]
    state = ["state"] if any(run.state != DONE for run in runs) else []
    return [*varying, *measured, _STEPS, _BYTES, *state]


def _sorted(rows: list[dict[str, Any]], keys: list[str], sort: str, reverse: bool) -> list[dict[str, Any]]:
    """Rows by one column, those without a value last."""
    short = {key.split("/")[-1]: key for key in reversed(keys)}
    key = sort if sort in keys else short.get(sort)
    if key is None:
        raise UsageError(f"--sort {sort} is not a column of this table; there are {', '.join(keys)}")
    there = [row for row in rows if row.get(key) is not None]
    there.sort(key=lambda row: _rank(row[key]), reverse=reverse)
    return there + [row for row in rows if row.get(key) is None]


def _rank(value: Any) -> tuple[int, Any]:
    """Numbers by size and summaries by mean, before words by letter."""
    value = value["mean"] if is_summary(value) else value
    return (0, value) if _is_number(value) else (1, shown(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _title(key: str) -> str:
    split, _, score = key.partition("/")
    if score in _SCORES:
        return f"{split} {score.replace('top', 'top-')} %"
    return "bytes" if key == _BYTES else key


def _cell(key: str, value: Any) -> str:
    if key == _BYTES and value is not None:
        return size(value)
    return or_dash(value)


def _base_line(varying: Variation) -> str:
    """What all runs have in common: the options of every group, and the top-level numbers."""
    options = [f"{group}={option}" for group, option in varying.same_choices.items() if option and "/" not in group]
    numbers = [f"{key}={shown(value)}" for key, value in varying.equal.items() if "." not in key and _is_number(value)]
    return " ".join([*options, *numbers]) or "nothing"
