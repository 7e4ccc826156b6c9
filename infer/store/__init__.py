"""Store of artefacts: each is made once, named by its signature, verified when read and never half-written."""

from infer.store.artefact import Artefact, Sharing, Workspace
from infer.store.lock import BusyArtefact
from infer.store.reuse import MissingArtefact, Store

__all__ = ["Artefact", "BusyArtefact", "MissingArtefact", "Sharing", "Store", "Workspace"]
