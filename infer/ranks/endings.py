"""The end of one rank as the end of all: one line, whoever failed, and however.

Every rank that ends leaves its last words where all can read them; those of a rank that was killed are missing. Nobody
waits long for them, as they only decide on what is printed.
"""

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from infer.ranks.group import Ranks
from infer.ranks.group import ranks as own_ranks

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

_PATIENCE_S = 3.0
_LOOK_EVERY_S = 0.02


@dataclass(frozen=True)
class Words:
    """Last words of one rank."""

    line: str
    """The line that it would print were it alone."""
    failed: bool = False
    """True for an error of its own, False for a signal and for the loss of another rank."""
    lost: bool = False
    """True where it ends because another rank has ended."""


def last_words(line: str, failed: bool = False, lost: bool = False, ranks: Ranks = own_ranks) -> str | None:
    """The line to print as this process ends with ``line``; None where another rank prints.

    ``failed`` and ``lost`` as in ``Words``. The exchanges of other ranks with this one end.
    """
    if ranks.world == 1:
        return line
    if ranks.end_together:
        return line if ranks.first else None
    try:
        return _agreed_line(ranks, Words(line, failed, lost))
    except RuntimeError:  # rank 0 kept the words, and is gone
        return _died([0], ranks.world) if ranks.rank == 1 else None


def line_for(words: dict[int, Words], world: int) -> str:
    """The line for the end of ``world`` ranks, of which some have left ``words``.

    An error comes before a rank that says nothing, which may be busy, and that before a signal: torchrun sends one to
    all when a rank has died.
    """
    for rank in sorted(words):
        if words[rank].failed:
            return words[rank].line if rank == 0 else f"rank {rank} of {world}: {words[rank].line}"
    silent = [rank for rank in range(world) if rank not in words]
    if silent:
        return _died(silent, world)
    return next((each.line for _, each in sorted(words.items()) if not each.lost), words[min(words)].line)


def _died(silent: list[int], world: int) -> str:
    named = " and ".join(map(str, silent))
    which = f"rank{'s' * (len(silent) > 1)} {named} of {world}"
    return f"{which} died or does not answer. What was finished is kept; the same command goes on from there"


def _agreed_line(ranks: Ranks, own: Words) -> str | None:
    store = ranks.store
    assert store is not None, "there are other ranks"
    store.set(_key("words", ranks.rank), json.dumps(asdict(own)))
    ranks.close()
    heard = [0] if own.failed else range(ranks.world)
    words = {ranks.rank: own} | {rank: Words(**json.loads(said)) for rank, said in _read(store, "words", heard)}
    is_first_to_speak = store.add("spoken", 1) == 1
    store.set(_key("left", ranks.rank), "")
    if ranks.first:  # it may hold the store, which the others still read
        list(_read(store, "left", range(ranks.world) if own.failed else words))
    return line_for(words, ranks.world) if is_first_to_speak else None


def _read(store: "Store", name: str, wanted: Iterable[int]) -> Iterator[tuple[int, bytes]]:
    """Values that the ``wanted`` ranks have left under ``name``, of those that do so before patience ends."""
    end = time.monotonic() + _PATIENCE_S
    for rank in wanted:
        while not (there := store.check([_key(name, rank)])) and time.monotonic() < end:
            time.sleep(_LOOK_EVERY_S)
        if there:
            yield rank, store.get(_key(name, rank))


def _key(name: str, rank: int) -> str:
    return f"infer/{name}/{rank}"
