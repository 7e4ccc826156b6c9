"""Plans of command lines: signatures by part of the pipeline, with nothing trained."""

from collections import defaultdict
from pathlib import Path

from infer.config import Config
from infer.console import Console
from infer.labels.static import BlockLogits, StaticLabels
from infer.pipeline.plan import by_stage, plan_evaluations
from infer.pipeline.prepare import prepare
from infer.store import Artefact

PARTS = ("teachers", "compensators", "distilled", "logits/natural", "logits/composed", "labels", "evals")
Signatures = dict[str, list[str]]


def planned(config: Config, words: list[str]) -> Signatures:
    """Every signature that a run of ``config`` rests on, parents first."""
    context = prepare(config, Path(config.outputs), Console(), words)
    signatures = defaultdict(list)
    for artefacts in by_stage(plan_evaluations(context, in_sweep=False)).values():
        for artefact in artefacts:
            signatures[part_of(artefact)].append(artefact.signature)
    return dict(signatures)


def part_of(artefact: Artefact) -> str:
    """The kind; labels are divided by what they depend on."""
    match artefact:
        case BlockLogits() if "compensators" in artefact.parents:
            return "logits/composed"
        case BlockLogits():
            return "logits/natural"
        case StaticLabels():
            return "labels"
        case _:
            return artefact.kind
