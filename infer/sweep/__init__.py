"""Sweeps: the jobs that a command line adds up to, what they have in common, and the table of what came out."""
