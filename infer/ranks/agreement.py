"""Check that all ranks were started with the same settings and the same code."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from infer.errors import UsageError
from infer.ranks.group import Ranks
from infer.ranks.group import ranks as own_ranks

_PACKAGE = Path(__file__).resolve().parents[1]


def require_same(settings: str, ranks: Ranks = own_ranks) -> None:
    """Raise UsageError, with the ranks' numbers, where ``settings``, code or torch version differ from rank 0's."""
    if ranks.world == 1:
        return
    import torch

    own = {"settings": _digest(settings.encode()), "code": code_digest(_PACKAGE), "version of torch": torch.__version__}
    if message := difference(dict(enumerate(ranks.gathered(own)))):
        raise UsageError(message)


def difference(facts: Mapping[int, Mapping[str, str]]) -> str | None:
    """Message that names the ranks whose ``facts`` differ from those of rank 0; None where all agree."""
    for name, value in facts[0].items():
        others = [rank for rank, each in facts.items() if each[name] != value]
        if others:
            named = ", ".join(map(str, others))
            plural = "s" * (len(others) > 1)
            return (
                f"rank{plural} {named} of {len(facts)}: different {name} from rank 0. "
                "Start all ranks with the same words, from the same checkout and environment"
            )
    return None


def code_digest(package: Path) -> str:
    """SHA-256 of the names and contents of the Python files of ``package``."""
    files = sorted(package.rglob("*.py"))
    return _digest(b"".join(str(file.relative_to(package)).encode() + file.read_bytes() for file in files))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
