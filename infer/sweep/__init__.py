"""Sweeps: the jobs that a command line defines, checks before they start, and the table of their results."""
