"""``infer diff``: the differences between two runs or command lines, and with ``--all`` what is equal."""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from infer.commands.parsing import RUN, Commands, add_command
from infer.errors import UsageError
from infer.records.differences import Comparison, Score, compare, compare_settings
from infer.records.find import last_finished, pick_run
from infer.records.machines import PROMISE
from infer.records.noise import LEVEL
from infer.records.run import Run
from infer.tables import Report, Section, count, or_dash, shown

_MOST_SIGNATURES = 3
_CHANGES = "+changes"
_CODES = "Exit code: 0 if settings, artefacts and scores are equal (code and environment may differ), otherwise 1."


def add_to(commands: Commands) -> None:
    """Add ``diff`` to ``commands``."""
    parser = add_command(
        commands, "diff", "compare two runs: settings, artefacts and scores", run, ("json", "md", "html"), epilog=_CODES
    )
    parser.add_argument("pair", metavar="RUN", nargs="*", help=f"{RUN}; without one, the last two finished runs")
    parser.add_argument(
        "--config", action="store_true", help='compare two command lines that were not run: --config "M=1" "M=2 ipc=5"'
    )
    parser.add_argument("--all", action="store_true", help="also show equal settings and scores")


def run(options: argparse.Namespace) -> Report:
    """Compare two runs, or with ``--config`` two command lines."""
    if options.config:
        return _diff_of_configs(options)
    if len(options.pair) not in (0, 2):
        raise UsageError(f"{count(options.pair, 'run')} given; name two, or none for the last two: infer diff A B")
    a, b = [pick_run(word, options.outputs) for word in options.pair] or last_finished(options.outputs, 2)
    return report_runs(a, b, compare(a, b), options.all)


def _diff_of_configs(options: argparse.Namespace) -> Report:
    from infer.commands.composition import settings_of_line  # Hydra takes half a second
    from infer.config.protocols import protocol_name

    if len(options.pair) != 2:
        raise UsageError(f'{count(options.pair, "config")} given; type two: infer diff --config "M=1" "M=2 ipc=5"')
    (a, config_a), (b, config_b) = (settings_of_line(line, of_one_run=True) for line in options.pair)
    protocols = [protocol_name(config, config.labeling.mode) for config in (config_a, config_b)]
    comparison = compare_settings(a, b, (protocols[0], protocols[1]))
    first, second = options.pair
    return report_settings(first, second, comparison, options.all)


def report_runs(a: Run, b: Run, comparison: Comparison, everything: bool) -> Report:
    """The report on two runs; with ``everything`` also equal settings and scores."""
    lines = [f"{side}  {run.name}  ({run.state})" for side, run in (("A", a), ("B", b))]
    named = {"a": {"run": a.name, "folder": str(a.folder)}, "b": {"run": b.name, "folder": str(b.folder)}}
    return _report(lines, named, comparison, everything)


def report_settings(a: str, b: str, comparison: Comparison, everything: bool) -> Report:
    """The report on two command lines that were not run."""
    lines = [f"{side}  python launch.py {words}".rstrip() for side, words in (("A", a), ("B", b))]
    return _report(lines, {"a": {"words": a}, "b": {"words": b}}, comparison, everything)


def _report(lines: list[str], named: dict[str, Any], comparison: Comparison, everything: bool) -> Report:
    unlike = "; ".join(f"{what} {or_dash(a)} -> {or_dash(b)}" for what, (a, b) in comparison.unlike.items())
    sections = [
        _settings(comparison, everything),
        _inputs(comparison),
        _environment(comparison),
        _scores(comparison, everything),
        _pairs("cost", comparison.cost),
    ]
    return Report(
        warning=f"THESE NUMBERS CANNOT BE COMPARED: {unlike}" if unlike else None,
        lines=lines,
        sections=[section for section in sections if section.rows],
        closing=[] if not comparison.equal else ["equal in settings, inputs and scores"],
        data=named | _as_data(comparison),
        code=0 if comparison.equal else 1,
    )


def _settings(comparison: Comparison, everything: bool) -> Section:
    """Section of the choices, each with the settings that follow from it, and then of other settings that differ."""
    varying = comparison.settings
    rows: list[list[str]] = []
    for group, options in varying.choices.items():
        following = varying.following.get(group, {})
        rows.append([group, *map(or_dash, options)])
        if everything:
            rows += [[f"    {key}", *map(shown, values)] for key, values in following.items()]
        elif following:
            rows.append([f"    {count(following, 'setting')} follow{'s' * (len(following) == 1)}", "", ""])
    rows += [[key, *map(shown, values)] for key, values in varying.settings.items()]
    if everything:
        rows += [[key, *map(shown, values)] for key, values in varying.without_effect.items()]
        rows += [[key, shown(value), shown(value)] for key, value in varying.equal.items()]
    elif not rows:
        rows.append(["none differs", "", ""])
    return Section(("settings", "A", "B"), rows, notes=[] if everything else list(_left_out(comparison)))


def _left_out(comparison: Comparison) -> Iterator[str]:
    varying = comparison.settings
    if varying.without_effect:
        yield f"{', '.join(varying.without_effect)}: differ without an effect on the result"
    yield f"{count(varying.equal, 'setting')} equal (--all shows every setting)"


def _inputs(comparison: Comparison) -> Section:
    rows = [
        [stage, str(len(a & b)), _signatures(a - b), _signatures(b - a)] for stage, (a, b) in comparison.inputs.items()
    ]
    return Section(("inputs", "in both", "only in A", "only in B"), rows, {"in both"})


def _signatures(signatures: set[str]) -> str:
    """Number of signatures, and the first ones, shortened as in the names of folders."""
    if not signatures:
        return "-"
    first = " ".join(signature[:8] for signature in sorted(signatures)[:_MOST_SIGNATURES])
    return f"{len(signatures)}: {first}{' ...' if len(signatures) > _MOST_SIGNATURES else ''}"


def _pairs(title: str, pairs: dict[str, tuple[Any, Any]]) -> Section:
    return Section((title, "A", "B"), [[key, or_dash(a), or_dash(b)] for key, (a, b) in pairs.items()])


def _environment(comparison: Comparison) -> Section:
    pairs = comparison.environment
    commits = [commit or "-" for commit in pairs.get("git_commit", ())]
    shortened = {"git_commit": (_short(commits[0]), _short(commits[1]))} if commits else {}
    changed = any(commit.endswith(_CHANGES) for commit in commits)
    note = f"{_CHANGES}: the code had changes that were not committed"
    notes = [note] * changed + [PROMISE] * bool(pairs.keys() & {"device", "threads", "precision"})
    return replace(_pairs("code and environment", pairs | shortened), notes=notes)


def _short(commit: str) -> str:
    return commit[:10] + (_CHANGES if commit.endswith(_CHANGES) else "")


def _scores(comparison: Comparison, everything: bool) -> Section:
    """Section of all scores of the leading student, and differing top-1 of other students, baselines and teachers."""
    chosen = {key: score for key, score in comparison.scores.items() if everything or _is_worth_a_row(key, score)}
    rows = [[key, or_dash(score.a), or_dash(score.b), *_verdict(score)] for key, score in chosen.items()]
    columns = ("scores in %, mean ± std (n)", "A", "B", "B - A", "p", "larger than noise")
    note = f"B - A in percentage points; noise: Welch's t-test, two-sided, larger when p < {LEVEL:g}"
    return Section(columns, rows, {"B - A", "p"}, [note])


def _is_worth_a_row(key: str, score: Score) -> bool:
    leading = ":" not in key and not key.startswith("teacher/")
    return leading or (key.endswith("/top1") and score.difference is not None and not score.equal)


def _verdict(score: Score) -> tuple[str, str, str]:
    """Difference, p, and whether it is larger than noise or why this cannot be tested."""
    if score.a is None or score.b is None:
        return "-", "-", "not measured in both"
    difference = f"{score.difference:+.2f}"
    if score.equal:
        return difference, "-", "equal"
    if score.test is None:
        single = score.a["std"] is None or score.b["std"] is None
        return difference, "-", "no spread, n=1" if single else "no spread, std=0"
    return difference, f"{score.test.p:.2g}", "yes" if score.larger_than_noise else "no"


def _as_data(comparison: Comparison) -> dict[str, Any]:
    varying = comparison.settings
    return {
        "equal": comparison.equal,
        "not_comparable": {what.lower(): list(pair) for what, pair in comparison.unlike.items()},
        "choices": varying.choices,
        "settings": varying.settings,
        "following_settings": varying.following,
        "settings_without_effect": varying.without_effect,
        "num_equal_settings": len(varying.equal),
        "inputs": {
            stage: {"both": sorted(a & b), "a": sorted(a - b), "b": sorted(b - a)}
            for stage, (a, b) in comparison.inputs.items()
        },
        "environment": {key: list(pair) for key, pair in comparison.environment.items()},
        "scores": {
            key: {
                "a": score.a,
                "b": score.b,
                "difference": score.difference,
                "welch": score.test._asdict() if score.test else None,
                "larger_than_noise": score.larger_than_noise,
            }
            for key, score in comparison.scores.items()
        },
        "cost": {key: list(pair) for key, pair in comparison.cost.items()},
    }
