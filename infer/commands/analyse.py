"""``infer analyse``: numbers and figures about distilled sets, in addition to the accuracy of their students."""

import argparse
import contextlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infer.commands.parsing import RUN, Commands, add_command, at_home
from infer.config import AnalysisName
from infer.errors import UsageError
from infer.records.names import ANALYSES
from infer.tables import Report, Section, from_here

if TYPE_CHECKING:
    from infer.analyses.base import Analysis
    from infer.commands.analysed_sets import AnalysedSet

_NAMES = ", ".join(name.value for name in AnalysisName)
_EPILOG = """Numbers are kept in the store and reused. Figures are written to the folder analyses of the run, or, for a
set or two sets together, of the current folder. Described in infer/analyses/README.md."""


def add_to(commands: Commands) -> None:
    """Add ``analyse`` to ``commands``."""
    about = "analyse the features, labels and compensators of distilled sets"
    parser = add_command(commands, "analyse", about, run, ("json", "md"), epilog=_EPILOG)
    parser.add_argument("analyses", metavar="NAME[,NAME...]", type=_names, help=_NAMES)
    told = f"{RUN}; or a distilled set in a format of infer import"
    parser.add_argument("sets", metavar="RUN_OR_SET", nargs="+", help=told)
    parser.add_argument("--probe", metavar="RUN", help="use this run's teachers instead of each run's own networks")
    told = "for boundary: names of classes (default: the first three)"
    parser.add_argument("--classes", metavar="NAME,...", type=lambda text: text.split(","), help=told)
    parser.add_argument("--to", metavar="FOLDER", type=at_home, help="folder for the figures instead")


def run(options: argparse.Namespace) -> Report:
    """Make the analyses that are missing, and show all."""
    if options.classes and AnalysisName.boundary not in options.analyses:
        raise UsageError(
            f"--classes {','.join(options.classes)} applies to boundary only. Leave it out, or add boundary"
        )
    from infer.commands.analysed_sets import analysed_sets  # torch takes seconds

    with contextlib.redirect_stdout(sys.stderr):  # progress goes to stderr, so that stdout has the results only
        sets = analysed_sets(options.sets, options.probe, options.outputs)
        planned = _plan(options.analyses, sets, options.classes)
        names = _figure_names([analysis for analysis, _ in planned])
        results = [_made(*each, name, options.to) for each, name in zip(planned, names, strict=True)]
    return _report(results)


def _plan(
    names: Sequence[AnalysisName], sets: Sequence["AnalysedSet"], classes: Sequence[str] | None
) -> list[tuple["Analysis", Sequence["AnalysedSet"]]]:
    """The analyses, each with its sets. All are checked before the first one is made."""
    planned: list[tuple[Analysis, Sequence[AnalysedSet]]] = []
    for name in names:
        if name is AnalysisName.boundary and len(sets) == 2:
            planned.append((sets[0].analysis(name, classes, beside=sets[1]), sets))
        else:
            planned += [(each.analysis(name, classes), [each]) for each in sets]
    return planned


def _figure_names(analyses: Sequence["Analysis"]) -> list[str]:
    """Names of the figures of ``analyses`` in one folder. Where several would be the same, signatures are appended."""
    signatures: dict[str, set[str]] = {}
    for each in analyses:
        signatures.setdefault(each.name, set()).add(each.signature)
    return [each.name if len(signatures[each.name]) == 1 else f"{each.name}-{each.signature[:8]}" for each in analyses]


@dataclass(frozen=True)
class _Result:
    """An analysis that was made and drawn."""

    facts: Mapping[str, Any]
    sentence: str
    numbers: Mapping[str, float | None]
    warnings: list[str]
    files: list[Path]
    """Files of the figure."""

    @property
    def name(self) -> str:
        """Name of the analysis."""
        return str(self.facts["analysis"])

    @property
    def data(self) -> dict[str, Any]:
        """The result, JSON-ready."""
        files = [str(file) for file in self.files]
        return {"sentence": self.sentence, "warnings": self.warnings, "figures": files, **self.facts}


def _made(analysis: "Analysis", shown: Sequence["AnalysedSet"], figure: str, to: Path | None) -> _Result:
    """Make ``analysis`` and draw it, into the folder of its run or, with the name ``figure``, into the folder ``to``.

    If it is about one set only, it is also added to the record of the run.
    """
    from infer.analyses.registry import warnings_of
    from infer.plots.analyses import draw, numbers_of, sentence_of

    for each in shown:
        if each.has_to_train_for(analysis):
            each.announce_training()
    facts = analysis.facts()
    owner = shown[0] if len(shown) == 1 else None
    if owner is not None:
        owner.record(analysis)
    if owner is not None and owner.run is not None and to is None:
        files = draw(facts, owner.run.folder / ANALYSES, analysis.title.value)
    else:
        files = draw(facts, to or Path(ANALYSES), figure)
    return _Result(facts, sentence_of(facts), numbers_of(facts), warnings_of(facts), files)


def _report(results: Sequence[_Result]) -> Report:
    sections = []
    for name in dict.fromkeys(result.name for result in results):
        of_name = [result for result in results if result.name == name]
        columns = list(dict.fromkeys(number for result in of_name for number in result.numbers))
        rows = [
            [result.facts["set"], *(_shown(result.numbers.get(number)) for number in columns)] for result in of_name
        ]
        sections.append(Section((name, *columns), rows, columns))
    warnings = [f"warning: {result.facts['set']}: {text}" for result in results for text in result.warnings]
    pictures = dict.fromkeys(str(from_here(result.files[0])) for result in results if result.files)
    drawn = [f"figures, also as .svg and .pdf: {', '.join(pictures)}"] if pictures else []
    return Report(
        data=[result.data for result in results],
        lines=[f"{result.facts['set']}, {result.name}: {result.sentence}" for result in results],
        sections=sections,
        closing=[*warnings, *drawn],
    )


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _names(text: str) -> list[AnalysisName]:
    known = {name.value: name for name in AnalysisName}
    unknown = [word for word in text.split(",") if word not in known]
    if unknown:
        raise UsageError(
            f"{unknown[0]!r} is not an analysis; there are {_NAMES}. Type infer analyse {_NAMES.split(',')[0]} RUN"
        )
    return list(dict.fromkeys(known[word] for word in text.split(",")))
