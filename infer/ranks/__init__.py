"""Ranks: the processes that share one piece of work, as torchrun or SLURM starts them; alone, one is rank 0 of 1."""

from infer.ranks.endings import last_words
from infer.ranks.group import LostRank, Ranks, ranks

__all__ = ["LostRank", "Ranks", "last_words", "ranks"]
