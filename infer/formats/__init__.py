"""Distilled sets on disk."""
