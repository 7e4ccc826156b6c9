"""Every artefact is made once, named by what made it, checked when it is read and never half-written."""

from infer.store.artefact import Artefact, Workspace
from infer.store.store import BusyArtefact, MissingArtefact, Store

__all__ = ["Artefact", "BusyArtefact", "MissingArtefact", "Store", "Workspace"]
