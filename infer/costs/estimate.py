"""Estimated costs of the stages of a run, from the artefacts to make and the speed of similar work."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from infer.config import Stage
from infer.context import Context
from infer.costs.history import recorded_rates
from infer.costs.memory import peak_bytes
from infer.costs.rate import Rate
from infer.costs.roofline import Elsewhere
from infer.costs.stopwatch import Stopwatch
from infer.costs.timing import Timings
from infer.data.on_demand import OnDemand
from infer.environment import describe, peak_memory_bytes, threads
from infer.records.names import CACHE
from infer.store import Artefact
from infer.work import Work

_PER_ARTEFACT_S = 0.03
"""Seconds for locking, writing, flushing and checking an artefact, in addition to making it."""
_SECONDS_BY_NAME = {"reports": 5.0}
"""Assumed seconds by the name of work, for work in which no images pass a network and of which there are no records."""
_GAIN_PER_PROCESS = 0.5
"""Work that each further process on the machine adds, as a fraction of that of the first: it starts later, and cores
share memory. Two processes did 1.1 to 1.9 times the work of one in the stages of digits, 1.4 on average (2 cores of an
AMD EPYC, 2026-11-27)."""
_RECORD_BYTES = 3_000
"""Bytes of a record and a history."""
_TIMINGS = Path(CACHE) / "timings.json"


@dataclass
class StageCost:
    """Costs of the artefacts that a stage has to make."""

    stage: Stage
    to_make: int = 0
    seconds: float | None = 0.0
    """None where the speed of a kind of work is not known."""
    num_bytes: int = 0
    """Bytes on the disk."""
    peak_bytes: int | None = None
    """Peak memory in bytes; None where no images pass a network, or where it was not estimated."""
    rates: list[Rate] = field(default_factory=list)


@dataclass(frozen=True)
class RunCost:
    """Costs of a run by stage."""

    stages: Sequence[StageCost]
    works: Mapping[str, Work]
    """Work on the artefacts to make, by signature."""
    seconds_per_unit: Mapping[str, float]
    """Speed by kind of work, for the kinds whose speed is known."""

    @property
    def peak_bytes(self) -> int | None:
        """Largest peak memory of the stages in bytes; None where no images pass a network."""
        return max((stage.peak_bytes for stage in self.stages if stage.peak_bytes is not None), default=None)

    @property
    def seconds(self) -> float | None:
        """Seconds of all stages; None where those of a stage are not known."""
        known = [stage.seconds for stage in self.stages if stage.seconds is not None]
        return sum(known) if len(known) == len(self.stages) else None

    def seconds_of(self, processes: int) -> float | None:
        """Seconds of all stages where ``processes`` processes share all but the report; None as in ``seconds``."""
        if self.seconds is None:
            return None
        alone = sum(stage.seconds or 0.0 for stage in self.stages if stage.stage is Stage.report)
        return alone + (self.seconds - alone) / (1 + _GAIN_PER_PROCESS * (processes - 1))


def estimate(
    context: Context,
    plan: Mapping[Stage, Sequence[Artefact]],
    hasty: bool = False,
    from_nothing: bool = False,
    elsewhere: Elsewhere | None = None,
) -> RunCost:
    """Costs of the artefacts of ``plan`` that the requested stages still have to make; ``from_nothing``: of all.

    Kinds of work without records are timed. With ``hasty`` this takes about a second; the speed of some kinds may then
    be unknown, and bytes and memory are not estimated. For devices ``elsewhere`` nothing is timed and no record is
    used.
    """
    left = {stage: _to_make(context, stage, artefacts, from_nothing) for stage, artefacts in plan.items()}
    works = {artefact.signature: artefact.work for artefacts in left.values() for artefact in artefacts}
    base = _base_bytes(context, elsewhere) if works and not hasty else 0  # timed steps would raise the peak memory
    if elsewhere:
        rates = _rates_elsewhere(elsewhere, works.values())
    else:
        with threads(context.threads):  # as in the work itself, since times and records depend on it
            rates = _rates(context, [artefact for artefacts in left.values() for artefact in artefacts], works, hasty)
    stages = []
    for stage, artefacts in left.items():
        if artefacts:
            of_stage = [works[artefact.signature] for artefact in artefacts]
            cost = _stage_cost(stage, of_stage, rates)
            if not hasty:
                cost.num_bytes = sum(artefact.expected_bytes + _RECORD_BYTES for artefact in artefacts)
                cost.peak_bytes = _peak_of(of_stage, base, elsewhere)
            stages.append(cost)
    return RunCost(stages, works, {kind: rate.seconds_per_unit for kind, rate in rates.items()})


def to_make(context: Context, plan: Mapping[Stage, Sequence[Artefact]]) -> list[Artefact]:
    """The artefacts of ``plan`` that the requested stages still have to make."""
    return [artefact for stage, artefacts in plan.items() for artefact in _to_make(context, stage, artefacts)]


def memory_of_another_process(context: Context, artefacts: Sequence[Artefact]) -> int:
    """Memory in bytes of another process that shares in making ``artefacts``."""
    base = _base_bytes(context)
    return _peak_of([artefact.work for artefact in artefacts], base) or base


def _to_make(
    context: Context, stage: Stage, artefacts: Sequence[Artefact], from_nothing: bool = False
) -> list[Artefact]:
    if stage not in context.config.stages:
        return []
    is_forced = from_nothing or stage in context.forced
    return [artefact for artefact in artefacts if is_forced or not context.store.exists(artefact)]


def _base_bytes(context: Context, elsewhere: Elsewhere | None = None) -> int:
    """Memory in bytes that a run takes besides networks.

    It is that of the program and, unless images are read on demand, of the training images with their padded copy; on a
    GPU, here or ``elsewhere``, that of the images only.
    """
    images = 0 if isinstance(context.data.test.images, OnDemand) else 2 * context.data.train_bytes
    return images if elsewhere or context.device.type == "cuda" else images + _program_bytes(context.device)


@functools.cache
def _program_bytes(device: torch.device) -> int:
    """Peak memory of this process at the first call; later jobs of a sweep in the same process do not increase it."""
    return peak_memory_bytes(device)["host"]


def _rates(context: Context, artefacts: Sequence[Artefact], works: Mapping[str, Work], hasty: bool) -> dict[str, Rate]:
    """Speeds of the work on ``artefacts`` by kind: from records, else timed, or assumed if no images pass a network."""
    described = describe(context.device)
    wanted: dict[str, set[str]] = {}
    for artefact in artefacts:
        wanted.setdefault(artefact.kind, set()).add(works[artefact.signature].kind)
    rates = recorded_rates(context.store.root, wanted, described["device"], described["threads"])
    unknown = _by_kind(work for work in works.values() if work.kind not in rates)
    machine: dict[str, Any] = {key: described[key] for key in ("device", "threads")}
    stopwatch = Stopwatch(Timings(context.store.root / _TIMINGS, machine, context.device), hasty)
    for kind, several in sorted(unknown.items(), key=lambda item: -sum(work.units for work in item[1])):
        rate = _assumed(several) or stopwatch.rate(several)
        if rate is not None:
            rates[kind] = rate
    return rates


def _rates_elsewhere(elsewhere: Elsewhere, works: Iterable[Work]) -> dict[str, Rate]:
    return {kind: _assumed(several) or elsewhere.rate(several) for kind, several in _by_kind(works).items()}


def _by_kind(works: Iterable[Work]) -> dict[str, list[Work]]:
    found: dict[str, list[Work]] = {}
    for work in works:
        found.setdefault(work.kind, []).append(work)
    return found


def _assumed(works: Sequence[Work]) -> Rate | None:
    """Speed of ``works`` of one kind in which no image passes a network; None for other kinds."""
    if any(passes.images for work in works for passes in work.passes):
        return None
    return Rate(_SECONDS_BY_NAME.get(works[0].name, 0.0), "assumed")


def _stage_cost(stage: Stage, works: Sequence[Work], rates: Mapping[str, Rate]) -> StageCost:
    kinds = dict.fromkeys(work.kind for work in works)
    cost = StageCost(stage, len(works), rates=[rates[kind] for kind in kinds if kind in rates])
    if any(kind not in rates for kind in kinds):
        cost.seconds = None
    else:
        making = sum(rates[work.kind].seconds_per_unit * work.units for work in works)
        cost.seconds = making + _PER_ARTEFACT_S * len(works)
    return cost


def _peak_of(works: Sequence[Work], base: int, elsewhere: Elsewhere | None = None) -> int | None:
    """Peak memory in bytes, ``base`` included; None where no images pass a network."""
    several = {replace(passes.whole, images=0) for work in works for passes in work.passes if passes.images}
    on_one = {elsewhere.share(passes) for passes in several} if elsewhere else several
    largest = max(map(peak_bytes, on_one), default=None)
    return None if largest is None else base + largest
