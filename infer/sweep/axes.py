"""Combinations of the values of a sweep: all of them, except that settings may be zipped, given as points, or
excluded."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import OverrideParseException
from omegaconf import DictConfig, OmegaConf

from infer.config.checks import impossible, require
from infer.config.sweep import SweepConfig
from infer.errors import UsageError
from infer.sweep.exclusions import Exclusion

MOST_JOBS = 10_000
"""Largest number of jobs of a sweep; the settings of all are checked before the first starts, which takes time."""
_TOO_MANY = f"a sweep has at most {MOST_JOBS:,} jobs. Give fewer values, or search among them with sweep.trials"
Words = tuple[str, ...]
"""Words that are used together: one for each of several zipped settings, or all of a point."""


@dataclass(frozen=True)
class Combinations:
    """The jobs of a sweep."""

    swept: dict[str, list[str]]
    """Values of the settings and groups that have several."""
    jobs: list[list[str]]
    """Command line words of each job."""
    num_left_out: int
    """Number of combinations that ``sweep.exclude`` has removed."""


def sweep_settings(composed: DictConfig) -> SweepConfig:
    """The checked settings ``sweep`` of a composed config."""
    settings = OmegaConf.to_object(composed.sweep)
    assert isinstance(settings, SweepConfig), "conf/config.yaml begins with its schema"
    return settings


def combine(overrides: Sequence[Override], settings: SweepConfig) -> Combinations:
    """The combinations of ``overrides``; of several overrides with the same key the last one counts.

    The order is that of Hydra's own sweeper, in which the last axis changes fastest. Raises UsageError where
    ``settings`` do not fit the overrides.
    """
    last = {override.get_key_element(): override for override in overrides}
    swept = {key: values_of(each) for key, each in last.items() if each.is_sweep_override()}
    zipped = _zipped(settings.zip, swept)
    axes = list(_axes(last, swept, zipped))
    if settings.points:
        points = [_words_of(point, last) for point in settings.points]
        axes.append(points)
        swept |= _values_of(points)
    _require_not_too_many(axes)
    jobs = [list(itertools.chain(*parts)) for parts in itertools.product(*axes)]
    kept = _without_excluded(jobs, [Exclusion(text, swept) for text in settings.exclude], swept)
    return Combinations(swept, kept, len(jobs) - len(kept))


def values_of(override: Override) -> list[str]:
    """The values of a sweep over one setting, as text. Raises UsageError where there are none, or too many."""
    key, typed = override.get_key_element(), str(override.input_line).partition("=")[2]
    try:
        values = list(itertools.islice(override.sweep_string_iterator(), MOST_JOBS + 1))
    except ValueError as error:  # of range
        raise impossible(key, typed, f"{error}; range(1,4) is 1, 2, 3") from error
    require(bool(values), key, typed, "that gives no value; range(1,4) is 1, 2, 3")
    require(len(values) <= MOST_JOBS, key, typed, _TOO_MANY)
    return values


def _require_not_too_many(axes: Sequence[Sequence[Words]]) -> None:
    """Raise UsageError for more than ``MOST_JOBS`` combinations, before they are listed."""
    if math.prod(map(len, axes)) > MOST_JOBS:
        counts = " x ".join(str(len(axis)) for axis in axes if len(axis) > 1)
        raise UsageError(f"{counts} values give too many combinations: {_TOO_MANY}")


def _zipped(groups: Sequence[Sequence[str]], swept: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """The groups of zipped settings, by the first setting of each. Raises UsageError for groups that do not fit."""
    listed = ",".join(f"[{','.join(group)}]" for group in groups)
    shown = f"[{listed}]"
    named = [key for group in groups for key in group]
    for group in groups:
        require(len(group) > 1, "sweep.zip", shown, "a group is two settings or more: sweep.zip=[[M,K]]")
        for key in group:
            there = ", ".join(swept) or "none"
            require(key in swept, "sweep.zip", shown, f"{key} does not have several values here; these have: {there}")
            require(named.count(key) == 1, "sweep.zip", shown, f"{key} is named twice")
        counts = {key: len(swept[key]) for key in group}
        differ = " and ".join(f"{key} {number}" for key, number in counts.items())
        require(len({*counts.values()}) == 1, "sweep.zip", shown, f"{differ} values cannot be paired one to one")
    return {group[0]: group for group in groups}


def _axes(
    last: Mapping[str, Override], swept: Mapping[str, Sequence[str]], zipped: Mapping[str, Sequence[str]]
) -> Iterator[list[Words]]:
    """The alternatives of every setting; those of zipped settings are at the place of the first one in the group."""
    followers = {key for group in zipped.values() for key in group[1:]}
    for key, override in last.items():
        if key in followers:
            continue
        if key in zipped:
            several = zip(*(swept[each] for each in zipped[key]), strict=True)
            yield [tuple(f"{k}={value}" for k, value in zip(zipped[key], values, strict=True)) for values in several]
        elif key in swept:
            yield [(f"{key}={value}",) for value in swept[key]]
        else:
            yield [(f"{key}={override.get_value_element_as_str()}",)]


def _words_of(point: str, typed: Mapping[str, Override]) -> Words:
    """The words of an explicit point such as ``M=1 K=9``. Raises UsageError for words that are not allowed in it."""
    shown = f'["{point}"]'
    try:
        overrides = OverridesParser.create().parse_overrides(point.split())
    except OverrideParseException as error:
        allowed = f"{error.override} is not key=value; write points as M=1 K=9"
        raise impossible("sweep.points", shown, allowed) from error
    require(bool(overrides), "sweep.points", shown, "a point has one setting or more: M=1 K=9")
    keys = [override.get_key_element() for override in overrides]
    for key, override in zip(keys, overrides, strict=True):
        require(not override.is_sweep_override(), "sweep.points", shown, f"give one value for {key} in a point")
        require(key not in typed, "sweep.points", shown, f"{key} has a value outside the points too: leave one out")
        require(keys.count(key) == 1, "sweep.points", shown, f"{key} is named twice")
    return tuple(f"{key}={each.get_value_element_as_str()}" for key, each in zip(keys, overrides, strict=True))


def _values_of(points: Sequence[Words]) -> dict[str, list[str]]:
    """The different values of each setting in ``points``, in order of first use."""
    values: dict[str, list[str]] = {}
    for key, _, value in (word.partition("=") for point in points for word in point):
        if value not in values.setdefault(key, []):
            values[key].append(value)
    return values


def _without_excluded(
    jobs: list[list[str]], exclusions: Sequence[Exclusion], swept: Mapping[str, Sequence[str]]
) -> list[list[str]]:
    if not exclusions:
        return jobs
    parser = OverridesParser.create()
    value_of = {word: _value(parser, word) for job in jobs for word in job if word.partition("=")[0] in swept}
    kept = [
        job
        for job in jobs
        if not any(
            exclusion.holds_for({word.partition("=")[0]: value_of[word] for word in job if word in value_of})
            for exclusion in exclusions
        )
    ]
    require(bool(kept), "sweep.exclude", "[...]", f"it leaves none of {len(jobs)} combinations")
    return kept


def _value(parser: OverridesParser, word: str) -> Any:
    value = parser.parse_override(word).value()
    return value if isinstance(value, int | float | str | list | None) else str(value)
