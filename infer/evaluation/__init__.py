"""Evaluation: students, the protocol that they are trained by, and the comparison of a set with its baselines."""
