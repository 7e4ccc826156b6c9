"""Outputs folders as runs leave them, written in milliseconds."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from helpers.records import signature_of, write_json, write_run

from infer.commands.main import run as run_command
from infer.files import sealed


@pytest.fixture
def outputs(tmp_path) -> Path:
    """The root of what the runs of one test wrote."""
    folder = tmp_path / "outputs"
    (folder / "runs").mkdir(parents=True)
    return folder


@pytest.fixture
def infer(outputs, capsys) -> Callable[..., tuple[int, str, str]]:
    """Types ``infer <words> --outputs ...``; gives the exit code, stdout and stderr."""

    def type_in(*words: str) -> tuple[int, str, str]:
        code = run_command([*words, "--outputs", str(outputs)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return type_in


@pytest.fixture
def add_run(outputs) -> Callable[..., Path]:
    """Writes the record of a run, or of a sweep's job where the name has a slash."""

    def add(name: str, words: str = "", top1: Sequence[float] = (97.0, 98.0, 99.0), **changes: Any) -> Path:
        return write_run(outputs / ("sweeps" if "/" in name else "runs") / name, words, top1, **changes)

    return add


@pytest.fixture
def add_artefact(outputs) -> Callable[..., tuple[str, Path]]:
    """Writes an artefact with its record; gives its signature and its folder."""

    def add(kind: str, name: str, parents: Sequence[str] = (), content: bytes = b"weights") -> tuple[str, Path]:
        signature = signature_of([kind, name])
        folder = outputs / kind / f"{name}-{signature[:8]}"
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(content)
        file = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        parents = {str(number): parent for number, parent in enumerate(parents)}
        record = {
            "signature": signature,
            "parents": parents,
            "files": {"model.safetensors": file},
            "content": "weights",
        }
        write_json(folder / "record.json", sealed(record))
        return signature, folder

    return add
