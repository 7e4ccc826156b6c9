"""The open meters of a run, and their display on the terminal and in the run's folder."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infer.console import Console
from infer.progress.forecast import Forecast
from infer.progress.heartbeat import heartbeat
from infer.progress.meter import Meter
from infer.progress.views import Bars, Lines, View


class Progress:
    """Progress of a run on its terminal and in its folder."""

    def __init__(self, console: Console) -> None:
        self.forecast = Forecast()
        self.stage = "start"
        """Name of the stage that runs, shown while no loop is open."""
        self._open: list[Meter] = []
        terminal = console.interactive
        self._view: View = Bars(terminal, self._run_left) if terminal else Lines(console, self._run_left)

    @contextlib.contextmanager
    def meter(self, description: str, total: int, unit: str, stage: str = "", signature: str = "") -> Iterator[Meter]:
        """Context in which a count of ``total`` units is displayed."""
        meter = Meter(description, total, unit, stage, signature, self._view.changed)
        self._open.append(meter)
        self._view.opened(meter)
        try:
            yield meter
        finally:
            self._view.closed(meter)
            self._open.remove(meter)

    def written_into(self, folder: Path) -> contextlib.AbstractContextManager[None]:
        """Context in which the run's ``progress.json`` in ``folder`` is kept up to date."""
        return heartbeat(folder, self.state)

    def state(self) -> dict[str, Any]:
        """State of the run, JSON-ready: its innermost loop, and the count of the stage's artefacts."""
        meters = list(self._open)  # a copy, since another thread may be opening a meter
        if not meters:
            return {"stage": self.stage}
        innermost, outermost = meters[-1], meters[0]
        return {
            "stage": outermost.stage,
            "artefacts": [outermost.done, outermost.total],
            "doing": innermost.description,
            "done": innermost.done,
            "total": innermost.total,
            "unit": innermost.unit,
            "per_second": innermost.rate,
            "left_s": innermost.left,
            "run_left_s": self._run_left(),
        }

    def _run_left(self) -> float | None:
        making = next((meter for meter in list(self._open) if meter.signature), None)
        return self.forecast.left() if making is None else self.forecast.left(making.signature, making.left)
