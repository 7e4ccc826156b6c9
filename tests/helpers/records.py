"""Records of runs and sweeps that never ran: real settings, made-up scores."""

import copy
import functools
import hashlib
import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from infer.commands.composition import settings_of_line
from infer.config import as_plain
from infer.records.statistics import summarise
from infer.records.sweeps import PlannedJob, SweepRecord

_NUMBER = re.compile(r"\d+(\.\d+)?(e-?\d+)?")


def signature_of(content: Any) -> str:
    """64 hex digits."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


@functools.cache
def _composed(words: str) -> tuple[dict[str, Any], dict[str, str | None], str]:
    settings, config = settings_of_line(words)
    return as_plain(config), dict(settings.choices), config.protocol_name_with(config.labeling.mode)


def record_of(words: str, top1: Sequence[float]) -> dict[str, Any]:
    """The ``result.json`` of a finished run of ``python launch.py <words>`` whose students scored ``top1``.

    With ``evaluate.split=val`` that is on val; on test they score one less.
    """
    numbers = {key: text for key, _, text in (word.partition("=") for word in words.split()) if _NUMBER.fullmatch(text)}
    composed, choices, protocol = _composed(" ".join(w for w in words.split() if w.partition("=")[0] not in numbers))
    config = copy.deepcopy(composed)
    for key, text in numbers.items():  # which bring nothing else along; composing takes a tenth of a second
        *groups, name = key.split(".")
        functools.reduce(dict.__getitem__, groups, config)[name] = json.loads(text)
    metrics = {"test/top1": summarise(top1), "test/top5": summarise([100.0] * len(top1))}
    if config["evaluate"]["split"] == "val":
        metrics |= {"val/top1": summarise(top1), "test/top1": summarise([score - 1 for score in top1])}
    storage = {"total_bytes": 26152, "ipc_charged": 9.8}
    return {
        "status": "done",
        "error": None,
        "config": config,
        "choices": choices,
        "stages": stages(squeeze=[signature_of("teacher")]),
        "metrics": metrics,
        "per_student": {config["student"]["archs"][0]: metrics},
        "baselines": {},
        "storage": storage,
        "environment": {
            "seed": 0,
            "process": 1,
            "threads": 2,
            "device": {"type": "cpu", "name": "x"},
            "git_commit": "a" * 40,
            "protocol": protocol,
            "student_steps": 400,
        },
    }


def stages(**signatures: list[str]) -> dict[str, Any]:
    """The account of stages that found everything made."""
    return {
        stage: {"signatures": found, "made": 0, "reused": len(found), "seconds": 0.0}
        for stage, found in signatures.items()
    }


def write_run(folder: Path, words: str = "", top1: Sequence[float] = (97.0, 98.0, 99.0), **changes: Any) -> Path:
    """Write what a run of ``python launch.py <words>`` leaves in ``folder``, with ``changes`` to its record."""
    record = record_of(words, top1) | changes
    write_json(folder / "result.json", record)
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / "overrides.yaml").write_text("".join(f"- {word}\n" for word in words.split()) or "[]\n")
    (folder / "infer.log").touch()
    subsets = record["config"].get("K") or 7
    dataset = {"fingerprint": signature_of(record["config"]["dataset"])}
    facts = {
        "sizes": {"K": subsets, "N": 350, "C": 10},
        "dataset": dataset,
        "signature": signature_of(record["config"]["method"]),
    }
    write_json(folder / "distilled" / "manifest.json", {"files": {}} | facts)
    return folder


def write_sweep(
    folder: Path,
    swept: Mapping[str, Sequence[str]],
    top1: Callable[..., Sequence[float]] = lambda *values: (97.0, 98.0, 99.0),
    words: str = "",
    changes: Mapping[int, Mapping[str, Any] | None] | None = None,
    ended: str | None = "2026-01-01T12:00:00+00:00",
    snapshot: bool = False,
    cluster: str = "local",
    **of_all: Any,
) -> Path:
    """Write what ``python launch.py -m <swept> <words>`` leaves; ``top1`` gets a job's swept values as they were typed.

    ``changes`` to the records of single jobs, by number; None for one that never started. ``of_all``: to every record.
    """
    jobs = []
    for number, values in enumerate(itertools.product(*swept.values())):
        varying = [f"{key}={value}" for key, value in zip(swept, values, strict=True)]
        name = f"{number}-{','.join(varying)}".replace("/", "_")
        jobs.append(PlannedJob(number, name, [*varying, *words.split()]))
        change = (changes or {}).get(number, {})
        if change is not None:
            write_run(folder / jobs[-1].folder, " ".join(jobs[-1].overrides), top1(*values), **of_all, **change)
    typed = ["-m", *(f"{key}={','.join(values)}" for key, values in swept.items()), *words.split()]
    typed_values = {key: list(several) for key, several in swept.items()}
    SweepRecord(typed_values, jobs, cluster=cluster, words=typed, ended=ended, snapshot=snapshot).write(folder)
    return folder
