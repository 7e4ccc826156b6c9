"""Ranks: processes that share one piece of work, started by torchrun or SLURM. A single process is rank 0 of 1."""

from infer.ranks.endings import last_words
from infer.ranks.group import LostRank, Ranks, ranks

__all__ = ["LostRank", "Ranks", "last_words", "ranks"]
