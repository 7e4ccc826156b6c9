"""``infer score``: DD-Ranking's scores of a distilled set, from runs that are there or that it makes."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from infer.commands.parsing import RUN, Commands, add_command
from infer.errors import RunError, UsageError
from infer.files import write_sealed
from infer.records.folders import find_runs
from infer.records.names import ROBUST_SCORES
from infer.records.run import Run
from infer.records.scores import Accuracies, scores_of
from infer.records.statistics import Summary
from infer.tables import Report, Section, count, summary_as_text
from infer.words import launch_command, shell_line

if TYPE_CHECKING:
    from infer.commands.repeated_runs import NeededRun, Subject
    from infer.commands.score_runs import Part

_EPILOG = """The scores compare several runs, some of which may have to be made first. SETTING is allowed for a set
only; a run is scored with the settings that it has. Exit code: 0 if the scores are printed, 2 if runs are missing."""
_DIGITS = 4
_MEANING = {
    "HLR": "all training images - the set, hard labels",
    "IOR": "the set - random images, the run's labels",
    "LRS": "alpha = (IOR - HLR) / 2",
    "ARS": "beta = mean of IOR with and without augmentation",
}


def add_to(commands: Commands) -> None:
    """Add ``score`` to ``commands``."""
    about = "compute DD-Ranking's scores of a distilled set, LRS and ARS"
    parser = add_command(commands, "score", about, run, ("json", "md"), epilog=_EPILOG)
    told = f"{RUN}; or a set that infer evaluate takes; without one, the last finished run with random baselines"
    parser.add_argument("run_or_set", metavar="RUN_OR_SET", nargs="?", help=told)
    parser.add_argument(
        "settings", metavar="SETTING", nargs="*", help="for a set, as for infer evaluate: dataset=..., labeling=hard"
    )
    parser.add_argument(
        "--make", action="store_true", help="make the missing runs; otherwise their commands are printed"
    )
    told = "random images per class to compare with (default: as many as the set is charged for)"
    parser.add_argument("--ipc", metavar="N", type=_per_class, help=told)


def run(options: argparse.Namespace) -> Report:
    """Score what ``options.run_or_set`` names, or list the runs that are missing."""
    from infer.commands.score_runs import Part, last_change, plan, plan_random, subject_of  # Hydra takes half a second

    subject = subject_of(options.run_or_set, options.settings, options.outputs)
    needed = plan(subject)
    search = _Search(options, last_change(subject.path) if subject.path else 0)
    of_set = subject.run or search.obtain(needed[Part.any])
    if of_set is None:
        search.missing += [needed[Part.hard], needed[Part.plain]]
        return _missing(subject, search)
    per_class = options.ipc or max(1, round(of_set.record["storage"]["ipc_charged"]))
    _require_images(of_set, per_class)
    needed |= plan_random(subject, of_set, per_class)
    found = {part: search.obtain(each, of_set) for part, each in needed.items() if part is not Part.any}
    there = {Part.any: of_set} | {part: each for part, each in found.items() if each is not None}
    return _missing(subject, search) if search.missing else _scored(subject, there, per_class)


@dataclass
class _Search:
    """A search through the recorded runs, that with ``--make`` makes what it does not find."""

    options: argparse.Namespace
    since: float
    """Time from which a run of the set must have begun."""
    missing: list["NeededRun"] = field(default_factory=list)

    def obtain(self, needed: "NeededRun", beside: Run | None = None) -> Run | None:
        """The run that is ``needed`` and was measured on the same ground as ``beside``; None where it is missing."""
        if found := self._find(needed, beside):
            return found
        if not self.options.make:
            self.missing.append(needed)
            return None
        self._make(needed)
        made = self._find(needed, beside)
        if made is None:
            whose = beside.name if beside else self.options.run_or_set
            raise RunError(
                f"the run that was just made cannot be scored beside {whose}: the data, the set or its teachers have "
                "changed since. What differs: infer diff"
            )
        return made

    def _find(self, needed: "NeededRun", beside: Run | None) -> Run | None:
        from infer.commands.repeated_runs import find_run

        outputs, since = self.options.outputs, self.since if needed.holds_set else 0
        return find_run(needed, beside, find_runs(outputs) if outputs.is_dir() else [], since)

    def _make(self, needed: "NeededRun") -> None:
        from infer.commands.launching import launch_aside  # Hydra takes half a second

        launch_aside(self._words(needed))

    def command(self, needed: "NeededRun") -> str:
        """The command line that makes ``needed``."""
        return launch_command(self._words(needed))

    def _words(self, needed: "NeededRun") -> list[str]:
        from infer.commands.launch_words import outputs_words

        return [*needed.command_words, *outputs_words(self.options.outputs)]


def _require_images(of_set: Run, per_class: int) -> None:
    """Raise UsageError where the data of ``of_set`` have fewer than ``per_class`` training images of a class."""
    most = of_set.smallest_class
    if most is not None and per_class > most:
        raise UsageError(
            f"{per_class} random images of every class were asked for, but the smallest class of "
            f"{of_set.setting('dataset.name')} has {most} training images. Type --ipc {most} or less"
        )


def _missing(subject: "Subject", search: _Search) -> Report:
    """The commands to paste, and after them the one that was typed, with the name of the run that it meant."""
    commands = list(dict.fromkeys(map(search.command, search.missing)))
    options = search.options
    again = ["infer", "score", subject.name, *options.settings]
    again += ["--ipc", str(options.ipc)] if options.ipc else []
    again += ["--outputs", str(options.outputs)] if options.outputs != Path("outputs") else []
    runs = f"{count(commands, 'run')} {'is' if len(commands) == 1 else 'are'}"
    return Report(
        data={"set": subject.name, "missing": commands},
        lines=[f"{runs} missing for the scores of {subject.name}. Type these lines, or the last alone with --make:"],
        closing=[*commands, shell_line(again)],
        code=2,
    )


def _scored(subject: "Subject", runs: Mapping["Part", Run], per_class: int) -> Report:
    """The scores, which are also written beside the run of the set."""
    from infer.commands.score_runs import SOURCES, Part, fractions_of

    accuracies = {name: fractions_of(runs[part], baseline) for name, (part, baseline) in SOURCES.items()}
    scores = scores_of(Accuracies(**{name: summary["values"] for name, summary in accuracies.items()}))
    names = {name: runs[part].name for name, (part, _) in SOURCES.items()}
    of_set = runs[Part.any]
    sections = [_accuracy_section(of_set, accuracies, names, per_class), _score_section(scores)]
    data = {
        "set": subject.name,
        "protocol": of_set.protocol,
        "random_per_class": per_class,
        "accuracies": {name: {"run": names[name]} | each for name, each in accuracies.items()},
        "scores": scores,
    }
    write_sealed(of_set.folder / ROBUST_SCORES, data)  # for its report
    return Report(data=data, lines=[_heading(of_set)], sections=sections)


def _heading(of_set: Run) -> str:
    return (
        f"{of_set.name}: {of_set.setting('method.name')} on {of_set.setting('dataset.name')}, "
        f"{of_set.setting('labeling.mode')} labels, protocol {of_set.protocol}, "
        f"student {of_set.setting('student.archs')[0]}"
    )


def _accuracy_section(
    of_set: Run, accuracies: Mapping[str, Summary], names: Mapping[str, str], per_class: int
) -> Section:
    """The accuracies that the scores are computed from, and the ``names`` of the runs that they come from."""
    method, labels = str(of_set.setting("method.name")), str(of_set.setting("labeling.mode"))
    shown_as = {
        "real_hard": ("all training images", "hard", "yes"),
        "set_hard": (method, "hard", "yes"),
        "set_any": (method, labels, "yes"),
        "random_any": (f"random, {per_class} per class", labels, "yes"),
        "set_plain": (method, labels, "no"),
        "random_plain": (f"random, {per_class} per class", labels, "no"),
    }
    columns = ("students on", "labels", "augmented", f"{of_set.split} top-1", "of run")
    rows = [[*shown_as[name], _as_text(accuracy), names[name]] for name, accuracy in accuracies.items()]
    return Section(columns, rows, notes=[_on_random_images(of_set, per_class)])


def _score_section(scores: Mapping[str, Summary]) -> Section:
    note = "mean ± standard deviation (n) over repeats; accuracies are fractions; LRS = ARS = 0.2689: no difference"
    rows = [[score, _as_text(summary), _MEANING[score]] for score, summary in scores.items()]
    return Section(("score", "value", "is"), rows, notes=[note])


def _on_random_images(of_set: Run, per_class: int) -> str:
    """The number of random images, beside the other numbers that would be equal in some sense."""
    sizes, charged = of_set.manifest["sizes"], of_set.record["storage"]["ipc_charged"]
    seen = sizes["N"] / sizes["C"]
    told = (
        f"random: {per_class} real images per class, at equal images and not bytes; the set is charged for {charged:g}"
    )
    return told if seen == charged else f"{told}, its students see {seen:g} (--ipc {round(seen)})"


def _as_text(summary: Summary) -> str:
    return summary_as_text(summary, _DIGITS)


def _per_class(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"--ipc {text}: the number of images per class must be at least 1")
    return int(text)
