"""End of all ranks when one rank ends, with one printed line, whichever rank failed and in whatever way.

Every rank that ends stores a last message that all ranks can read; that of a rank that was killed is missing. Ranks
wait only a short time for these messages, since they only determine what is printed.
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
    """Last message of one rank."""

    line: str
    """The line that the rank would print if it were the only one."""
    failed: bool = False
    """True for an error in this rank; False for a signal, and where another rank has ended."""
    lost: bool = False
    """True where the rank ends because another rank has ended."""


def last_words(line: str, failed: bool = False, lost: bool = False, ranks: Ranks = own_ranks) -> str | None:
    """The line to print when this process ends with ``line``; None where another rank prints.

    ``failed`` and ``lost`` are those of ``Words``. Exchanges of other ranks with this one fail from now on.
    """
    if ranks.world == 1:
        return line
    if ranks.end_together:
        return line if ranks.first else None
    try:
        return _agreed_line(ranks, Words(line, failed, lost))
    except RuntimeError:  # rank 0, which holds the messages, has ended
        return _died([0], ranks.world) if ranks.rank == 1 else None


def line_for(words: dict[int, Words], world: int) -> str:
    """The line to print at the end of ``world`` ranks, given the messages ``words`` of some of them.

    An error takes precedence over a silent rank, which may be busy, and a silent rank over a signal, since torchrun
    sends a signal to all ranks when one has died.
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
    if ranks.first:  # its process may hold the store, which other ranks still read
        list(_read(store, "left", range(ranks.world) if own.failed else words))
    return line_for(words, ranks.world) if is_first_to_speak else None


def _read(store: "Store", name: str, wanted: Iterable[int]) -> Iterator[tuple[int, bytes]]:
    """Pairs (rank, value) for the ``wanted`` ranks that store a value under ``name`` within ``_PATIENCE_S``."""
    end = time.monotonic() + _PATIENCE_S
    for rank in wanted:
        while not (there := store.check([_key(name, rank)])) and time.monotonic() < end:
            time.sleep(_LOOK_EVERY_S)
        if there:
            yield rank, store.get(_key(name, rank))


def _key(name: str, rank: int) -> str:
    return f"infer/{name}/{rank}"
