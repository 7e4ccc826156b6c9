"""Every artefact is made once, named by what made it, checked when it is read and never half-written."""

from infer.store.artefact import Artefact, Workspace
from infer.store.store import MissingArtefact, Store

__all__ = ["Artefact", "MissingArtefact", "Store", "Workspace"]
