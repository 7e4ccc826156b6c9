"""A run on the ranks other than rank 0: they make the same plan and take part in the work that rank 0 names."""

import logging
import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path

from infer.analyses.registry import analysis_of, teachers_of
from infer.config import Config, Stage, as_plain
from infer.console import Console
from infer.context import Context
from infer.evaluation.comparison import Evaluation
from infer.files import canonical_json
from infer.methods.sets.base import DistilledArtefact
from infer.pipeline.plan import plan_evaluations
from infer.pipeline.prepare import own_device, prepare
from infer.ranks import ranks
from infer.ranks.agreement import require_same
from infer.stages.make_artefacts import make_apart
from infer.store import Artefact, Workspace
from infer.store.artefact import with_ancestors


def lead(context: Context, evaluations: list[Evaluation]) -> None:
    """Make the other ranks, if there are any, plan the run of ``context``.

    To be called by rank 0 after its checks, when it is certain that there is work to do.
    """
    if ranks.world > 1:
        context.store.known_to_ranks = known_artefacts(context, evaluations).keys()
        ranks.tell({"order": context.order, "in_sweep": context.in_comparing_sweep})


def dismiss() -> None:
    """Let the other ranks end, since rank 0 has no more work to share."""
    ranks.tell(None)


def follow(config: Config) -> None:
    """Take part in the run until rank 0 calls ``dismiss``."""
    logging.getLogger("infer").addHandler(logging.NullHandler())  # rank 0 prints the same warnings
    warnings.simplefilter("ignore")
    require_same(canonical_json(as_plain(config)))
    start = ranks.listen()
    if start is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        context = prepare(config, Path(folder), Console(brief=True), [], own_device(config), start["order"])
        known = known_artefacts(context, plan_evaluations(context, start["in_sweep"]))
        while (word := ranks.listen()) is not None:
            if isinstance(word, list):
                make_apart(context, [known[signature] for signature in word])
            else:
                _take_part(known[word])


def _take_part(artefact: Artefact) -> None:
    """Run ``make`` with the other ranks; the files that this rank writes are discarded."""
    with ranks.together(), tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder), Path(folder) / "scratch")
        workspace.scratch.mkdir()
        artefact.make(workspace)


def known_artefacts(context: Context, evaluations: list[Evaluation]) -> dict[str, Artefact]:
    """The artefacts that a run may make and whose work ranks can share, by signature."""
    students: Iterable[Artefact] = (student for each in evaluations for student in each.all_students)
    return {each.signature: each for each in with_ancestors([*students, *_analyses(context, evaluations[0])])}


def _analyses(context: Context, evaluation: Evaluation) -> list[Artefact]:
    """Analyses with one teacher each; ranks share the network outputs that are their parents."""
    images = evaluation.labelled.images
    if Stage.report not in context.config.stages or not isinstance(images, DistilledArtefact):
        return []
    students, names = [evaluation.kept_student], context.config.analyses
    return [analysis_of(name, images, [probe], students=students) for name in names for probe in teachers_of(context)]
