"""Mutations of files: bytes flipped, cut out, repeated or cut off, and values replaced by others of any kind."""

import copy
from typing import Any

import torch
from hypothesis import strategies as st

_BYTES = st.one_of(
    st.tuples(st.just("flip"), st.floats(0, 1), st.integers(1, 255)),
    st.tuples(st.just("cut"), st.floats(0, 1), st.integers(1, 64)),
    st.tuples(st.just("repeat"), st.floats(0, 1), st.integers(1, 64)),
    st.tuples(st.just("end"), st.floats(0, 1), st.just(0)),
)
EDITS = st.lists(_BYTES, min_size=1, max_size=4)
"""Edits of a file's bytes: what, where as a share of its length, and how much."""
_PLAIN = [None, True, -1, 2**70, 2.5, float("nan"), float("inf"), "", "text", "../../up", [], [1, "a"], {}, {"a": None}]
JSON_VALUES = st.sampled_from(_PLAIN)
TENSORS = [
    torch.zeros(0),
    torch.tensor(3),
    torch.tensor([True, False]),
    torch.tensor([0.5, 1.7]),
    torch.full((2, 3, 8, 8), float("nan")),
    torch.randint(0, 9, (2, 3, 8, 8)),
    torch.eye(3).to_sparse(),
    torch.ones(2, 2, dtype=torch.complex64),
    torch.ones(3, 3, dtype=torch.float64)[:, ::2],
]
VALUES = st.sampled_from([*_PLAIN, *TENSORS])


def edited(content: bytes, edits: list[tuple[str, float, int]]) -> bytes:
    """``content`` after the ``edits``, one after the other."""
    changed = bytearray(content)
    for kind, share, amount in edits:
        place = int(share * max(0, len(changed) - 1))
        if kind == "flip" and changed:
            changed[place] ^= amount
        elif kind == "cut":
            del changed[place : place + amount]
        elif kind == "repeat":
            changed[place:place] = changed[place : place + amount]
        elif kind == "end":
            del changed[place:]
    return bytes(changed)


def places_in(content: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Keys and positions that lead to every value of nested dictionaries and lists, the outermost first."""
    pairs = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [place, *(deeper for key, value in pairs for deeper in places_in(value, (*place, key)))]


def replaced(content: Any, place: tuple[Any, ...], value: Any) -> Any:
    """A copy of ``content`` with ``value`` at ``place``."""
    if not place:
        return value
    changed = copy.deepcopy(content)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return changed
