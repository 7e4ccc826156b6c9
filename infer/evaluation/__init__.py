"""Evaluation: students, the protocol of their training, and the comparison of a set with its baselines."""
