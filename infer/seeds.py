"""Independent streams of random numbers, each of which depends on its name only.

The name of a stream is (seed, purpose, id ...), for example ``generator(0, "natural", 3)`` for the order of the images
of class 3. A stream does not depend on batches, processes or resumption, and two purposes never share a stream.
"""

import hashlib

import numpy as np

StreamKey = tuple[int, str, *tuple[int | str, ...]]
"""Name of a stream: (seed, purpose, id ...)."""


def generator(seed: int, purpose: str, *key: int | str) -> np.random.Generator:
    """A NumPy generator for the stream ``(seed, purpose, *key)``."""
    return np.random.Generator(np.random.PCG64(int.from_bytes(_digest(seed, purpose, key), "big")))


def torch_seed(seed: int, purpose: str, *key: int | str) -> int:
    """A 63-bit seed for ``torch.manual_seed`` (initialisation, dropout) from the stream ``(seed, purpose, *key)``."""
    return int.from_bytes(_digest(seed, purpose, key)[:8], "big") >> 1


def _digest(seed: int, purpose: str, key: tuple[int | str, ...]) -> bytes:
    name = "/".join([str(seed), purpose, *map(str, key)])
    return hashlib.sha256(name.encode()).digest()
