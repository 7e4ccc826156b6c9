"""Machines on which a run's numbers were computed, which settings and signatures do not determine.

The same seed gives the same bits only on the same kind of processor with the same number of threads, since sums of
floating-point numbers depend on their order. Artefacts that were reused may have been made on another machine.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from infer.records.run import Run

PROMISE = "the same settings and seed give the same bits only with the same device, number of threads and precision"


def machine_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """Device and number of threads from the record of an artefact, or from the environment in that of a run."""
    return {"device": record["device"], "threads": record["threads"]}


def computed_with(run: Run) -> dict[str, str]:
    """Device, threads and precision of ``run`` as text, where several are joined by ``+``; empty without numbers."""
    environment = run.record["environment"]
    if not environment.keys() >= {"device", "threads"}:
        return {}
    machines = environment.get("computed_on") or [machine_of(environment)]
    found = {
        "device": joined([machine["device"]["name"] for machine in machines]),
        "threads": joined([machine["threads"] for machine in machines]),
    }
    return found | {key: environment[key] for key in ("precision",) if key in environment}


def differing(runs: Sequence[Run]) -> dict[str, list[str | None]]:
    """The values of ``computed_with`` that differ between ``runs``, with one value per run; None if it is not known."""
    found = [computed_with(run) for run in runs]
    columns = {key: [each.get(key) for each in found] for key in ("device", "threads", "precision")}
    return {key: values for key, values in columns.items() if len({*values} - {None}) > 1}


def joined(values: Iterable[Any]) -> str:
    """Several values of a run as one text, such as ``bf16+fp32``."""
    return "+".join(str(value) for value in sorted(set(values)))
