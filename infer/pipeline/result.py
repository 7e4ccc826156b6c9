"""``result.json``: the record of one run, complete and up to date from its first second."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infer import cluster, environment
from infer.config import Config, as_plain
from infer.context import Context
from infer.errors import UsageError, describe
from infer.evaluation.comparison import Evaluation, artefacts_under
from infer.files import write_sealed
from infer.methods.sets.base import DistilledArtefact
from infer.pipeline.plan import ArtefactPlan
from infer.pipeline.pruning import Pruned
from infer.records.machines import joined, machine_of
from infer.records.names import LOG, OVERRIDES, RESULT
from infer.records.run import BLANK_RECORD, DONE, FAILED, INTERRUPTED, PRUNED, RUNNING, SKIPPED
from infer.records.statistics import summarise
from infer.teachers.teacher import Teacher


class RunResult:
    """Record of a run, written whenever something is added."""

    def __init__(self, folder: Path, config: Config, choices: dict[str, str | None]) -> None:
        self._path = folder / RESULT
        self._has_begun = False
        job = cluster.job_id()
        self.content: dict[str, Any] = {
            **BLANK_RECORD,
            "status": RUNNING,
            "config": as_plain(config),
            "choices": choices,
            "environment": {"seed": config.seed, "process": os.getpid(), **({"slurm_job": job} if job else {})},
        }
        self._write()

    @contextlib.contextmanager
    def recorded(self) -> Iterator[None]:
        """Record the end of the work inside: done, failed, interrupted or pruned."""
        try:
            yield
        except Pruned as reason:
            self._update(status=PRUNED, error=str(reason))
            raise
        except Exception as error:
            if isinstance(error, UsageError) and not self._has_begun:
                self._remove()
            else:
                self._end_early(FAILED, describe(error))
            raise
        except BaseException:  # Ctrl-C, SIGTERM, a preempted SLURM job
            self._end_early(INTERRUPTED, None)
            raise
        self._update(status=DONE)

    def _end_early(self, status: str, error: str | None) -> None:
        with contextlib.suppress(OSError):  # a full disk must not hide the error that it caused
            self._update(status=status, error=error)

    def begin(self) -> None:
        """Keep the record from now on, whatever happens: before that, a run that is refused leaves none."""
        self._has_begun = True

    def skip(self, reason: str) -> None:
        """Record that the run is not to be, for ``reason``."""
        self._update(status=SKIPPED, error=reason)

    def _remove(self) -> None:
        """Delete the files of a run that did not begin, and its folder where nothing else is in it."""
        folder = self._path.parent
        files = [self._path, folder / LOG, *(folder / Path(OVERRIDES).parent).glob("*.yaml")]
        with contextlib.suppress(OSError):
            for file in files:
                file.unlink(missing_ok=True)
            (folder / OVERRIDES).parent.rmdir()
            folder.rmdir()

    def add_environment(self, context: Context) -> None:
        """Add device, precision, threads, versions and commit."""
        teachers, students = context.precisions
        described = environment.describe(context.device) | {"precision": joined(teachers | students)}
        self._update(environment=self.content["environment"] | described)

    def add_plan(self, evaluations: list[Evaluation], plan: ArtefactPlan) -> None:
        """Add the facts known before the work: bytes, protocol, updates, and every artefact that it depends on."""
        main = evaluations[0]
        known = {
            **main.protocol_facts,
            "student_steps": main.num_steps,
            "samples_seen": main.samples_seen,
            "smallest_class": min(main.context.data.train_counts),
            **({"labels_override": main.overrides} if main.overrides else {}),
        }
        planned = {stage.value: [artefact.signature for artefact in artefacts] for stage, artefacts in plan.items()}
        sets = {evaluation.labelled.name: _outline_of(evaluation) for evaluation in evaluations}
        self._update(
            storage=main.storage(), planned=planned, sets=sets, environment=self.content["environment"] | known
        )

    @property
    def planned_signatures(self) -> set[str]:
        """Signatures of every artefact that ``add_plan`` was told of."""
        return {signature for several in self.content["planned"].values() for signature in several}

    def add_analyses(self, signatures: dict[str, str]) -> None:
        """Add the signatures of analyses by name."""
        self._update(analyses=signatures)

    def add_stages(self, context: Context) -> None:
        """Add the counts of artefacts that each stage has made and reused so far."""
        self._update(stages={stage.value: vars(account) for stage, account in context.account.items()})

    def add_costs(self, costs: dict[str, Any]) -> None:
        """Add costs, as ``infer.records.scale`` reads them."""
        self._update(costs=costs)

    def add_outcome(self, context: Context, evaluations: list[Evaluation], teachers: list[Teacher]) -> None:
        """Add every score that exists and says something: those on a stand-in for the data do not."""
        main, baselines = evaluations[0], evaluations[1:]
        metrics = {f"teacher/{teacher.arch}/top1": summarise([teacher.top1]) for teacher in teachers}
        outcome = main.outcome() if main.is_done else {}
        added = {
            "peak_memory_bytes": environment.peak_memory_bytes(context.device),
            "computed_on": _machines_of(context, evaluations),
        }
        if context.config.scale.measures_costs:
            metrics, outcome, baselines = {}, {}, []
        self._update(
            metrics=outcome.get("metrics", {}) | metrics,
            per_student=outcome.get("per_student", {}),
            baselines={
                evaluation.labelled.name: evaluation.outcome() for evaluation in baselines if evaluation.is_done
            },
            environment=self.content["environment"] | added,
        )

    def _update(self, **changes: Any) -> None:
        self.content |= changes
        self._write()

    def _write(self) -> None:
        write_sealed(self._path, self.content)


def _machines_of(context: Context, evaluations: list[Evaluation]) -> list[dict[str, Any]]:
    """The machines on which what the evaluations rest on was made, each once."""
    found: list[dict[str, Any]] = []
    for artefact in artefacts_under(evaluations):
        if context.store.exists(artefact) and (machine := machine_of(context.store.record(artefact))) not in found:
            found.append(machine)
    return found


def _outline_of(evaluation: Evaluation) -> dict[str, Any]:
    """A set's size in words and in images as a student sees them, the signatures of its students, and its
    optimisation."""
    images = evaluation.labelled.images
    return {
        "size": images.size_text,
        "images": images.num_images,
        "students": {arch: [s.signature for s in students] for arch, students in evaluation.students.items()},
        "generation": images.generation if isinstance(images, DistilledArtefact) else None,
    }
