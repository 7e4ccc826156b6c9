"""An own random generator for every unit of work, so that what is drawn depends on nothing but its name.

A unit is named by (seed, purpose, unit id ...), for example ``generator(0, "natural", 3)``: class 3's order of
images. Neither batching nor process nor resumption enters, and two purposes never share a stream.
"""

import hashlib

import numpy as np


def _digest(seed: int, purpose: str, unit: tuple) -> bytes:
    name = "/".join([str(seed), purpose, *map(str, unit)])
    return hashlib.sha256(name.encode()).digest()


def generator(seed: int, purpose: str, *unit: int | str) -> np.random.Generator:
    """A numpy generator of its own for the unit ``(seed, purpose, *unit)``."""
    return np.random.Generator(np.random.PCG64(int.from_bytes(_digest(seed, purpose, unit), "big")))


def torch_seed(seed: int, purpose: str, *unit: int | str) -> int:
    """A 63-bit seed for ``torch.manual_seed`` (initialisation, dropout) of the unit ``(seed, purpose, *unit)``."""
    return int.from_bytes(_digest(seed, purpose, unit)[:8], "big") >> 1
