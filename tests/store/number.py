"""The smallest artefact there can be, for tests of the store."""

from infer.config import Stage
from infer.files import write_json
from infer.store import Artefact


class Number(Artefact):
    """Writes ``value`` into a file."""

    kind = "numbers"
    stage = Stage.generate
    name = "number"

    def __init__(self, value: int, parent: Artefact | None = None, fail: Exception | None = None) -> None:
        self.value, self._parent, self._fail = value, parent, fail
        self.times_made = 0

    @property
    def settings(self):
        return {"value": self.value}

    @property
    def parents(self):
        return {"parent": self._parent} if self._parent else {}

    def make(self, workspace):
        self.times_made += 1
        write_json(workspace.folder / "value.json", self.value)
        if self._fail:
            raise self._fail
        return {"square": self.value**2}
