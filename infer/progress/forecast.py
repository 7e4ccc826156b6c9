"""Remaining time of a run, from estimates that are replaced by the times of similar work in the same run."""

from collections.abc import Mapping

from infer.work import Work


class Forecast:
    """Remaining seconds of a whole run."""

    def __init__(self) -> None:
        self.processes = 1
        """Number of processes that share the work."""
        self._pending: dict[str, Work] = {}
        self._seconds_per_unit: dict[str, float] = {}
        self._measured: dict[str, tuple[float, float]] = {}

    def expect(self, works: Mapping[str, Work], seconds_per_unit: Mapping[str, float]) -> None:
        """Add the work on artefacts to make, by signature, and the known ``seconds_per_unit`` by kind of work."""
        self._pending.update(works)
        self._seconds_per_unit.update(seconds_per_unit)

    def note(self, signature: str, seconds: float | None) -> None:
        """Remove an artefact from the work that is left.

        ``seconds`` is the time that this run took to make it; None where it was not made here.
        """
        work = self._pending.pop(signature, None)
        if work is None or seconds is None:
            return
        units, spent = self._measured.get(work.kind, (0.0, 0.0))
        units, spent = units + work.units, spent + seconds
        self._measured[work.kind] = units, spent
        self._seconds_per_unit[work.kind] = spent / units

    def left(self, signature: str = "", seconds: float | None = None) -> float | None:
        """Remaining seconds, where the artefact ``signature`` is being made and will be finished in ``seconds``.

        None where nothing is left, or the speed of a kind of work that is left is not known.
        """
        pending = list(self._pending.items())  # a copy, since this is also called from another thread
        others = [work for name, work in pending if name != signature or seconds is None]
        if not pending or any(work.kind not in self._seconds_per_unit for work in others):
            return None
        of_others = sum(self._seconds_per_unit[work.kind] * work.units for work in others)
        return max(seconds or 0.0, ((seconds or 0.0) + of_others) / self.processes)
