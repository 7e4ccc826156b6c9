"""Progress of a run: counts and rates of its loops and the remaining time, on the terminal and in a file."""

from infer.progress.board import Progress
from infer.progress.forecast import Forecast
from infer.progress.meter import Meter

__all__ = ["Forecast", "Meter", "Progress"]
