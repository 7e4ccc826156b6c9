"""Distilled sets, and the artefacts that they are made from: the implementations of the methods."""
