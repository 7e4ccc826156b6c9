"""Number of artefacts to make, counted before the work, for one run or for all jobs of a sweep together."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from infer.config import Stage
from infer.context import Context
from infer.store import Artefact

COLUMNS = ("stage", "artefacts", "there", "to make")


class Inventory:
    """Artefacts of one or more runs, each counted once."""

    def __init__(self) -> None:
        self._planned: dict[Stage, set[str]] = defaultdict(set)
        self._there: set[str] = set()
        self._to_make: set[str] = set()
        self._asked: set[Stage] = set()

    def add(self, context: Context, plan: Mapping[Stage, Sequence[Artefact]]) -> None:
        """Add the artefacts of a run, given by stage."""
        self._asked |= set(context.config.stages)
        for stage, artefacts in plan.items():
            signatures = {artefact.signature for artefact in artefacts}
            there = {artefact.signature for artefact in artefacts if context.store.exists(artefact)}
            self._planned[stage] |= signatures
            self._there |= there
            self._to_make |= signatures if stage in context.forced else signatures - there

    @property
    def rows(self) -> list[list[str]]:
        """Rows of a table with ``COLUMNS``, for the stages that have artefacts."""
        return [self._row(stage, signatures) for stage, signatures in self._planned.items() if signatures]

    def _row(self, stage: Stage, signatures: set[str]) -> list[str]:
        to_make = str(len(signatures & self._to_make)) if stage in self._asked else "not asked for"
        return [stage.value, str(len(signatures)), str(len(signatures & self._there)), to_make]
