"""Formats of distilled sets and labels of other programs: reading, writing and detection."""
