"""Records of runs that never ran: real settings, made-up scores."""

import hashlib
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from infer.config import as_plain
from infer.inspect.configs import settings_of_words
from infer.statistics import summarise


def signature_of(content: Any) -> str:
    """64 hex digits."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


@cache
def _composed(words: str) -> tuple[dict[str, Any], dict[str, str | None], str]:
    settings, config = settings_of_words(words)
    return as_plain(config), dict(settings.choices), config.protocol_name_with(config.labeling.mode)


def record_of(words: str, top1: Sequence[float]) -> dict[str, Any]:
    """The ``result.json`` of a finished run of ``python launch.py <words>`` whose students scored ``top1``."""
    config, choices, protocol = _composed(words)
    metrics = {f"{config['evaluate']['split']}/top1": summarise(top1), "test/top5": summarise([100.0] * len(top1))}
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
