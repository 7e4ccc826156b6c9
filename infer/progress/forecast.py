"""Time that the artefacts still to be made will take, corrected by what like ones took in this run."""

from collections.abc import Mapping

from infer.work import Work


class Forecast:
    """Seconds left to a whole run."""

    def __init__(self) -> None:
        self.processes = 1
        """Processes that share the work."""
        self._pending: dict[str, Work] = {}
        self._seconds_per_unit: dict[str, float] = {}
        self._measured: dict[str, tuple[float, float]] = {}

    def expect(self, works: Mapping[str, Work], seconds_per_unit: Mapping[str, float]) -> None:
        """Expect artefacts by signature; ``seconds_per_unit`` by kind of work, as far as it is known."""
        self._pending.update(works)
        self._seconds_per_unit.update(seconds_per_unit)

    def note(self, signature: str, seconds: float | None) -> None:
        """Take the artefact off the list; ``seconds`` that making it took in this run, None where it was not made."""
        work = self._pending.pop(signature, None)
        if work is None or seconds is None:
            return
        units, spent = self._measured.get(work.kind, (0.0, 0.0))
        units, spent = units + work.units, spent + seconds
        self._measured[work.kind] = units, spent
        self._seconds_per_unit[work.kind] = spent / units

    def left(self, signature: str = "", seconds: float | None = None) -> float | None:
        """Seconds left, the artefact ``signature`` being made and finished in ``seconds``; None where a kind of work
        that is left has no measure yet."""
        pending = list(self._pending.items())  # at once: another thread asks, too
        others = [work for name, work in pending if name != signature or seconds is None]
        if not pending or any(work.kind not in self._seconds_per_unit for work in others):
            return None
        of_others = sum(self._seconds_per_unit[work.kind] * work.units for work in others)
        return max(seconds or 0.0, ((seconds or 0.0) + of_others) / self.processes)
