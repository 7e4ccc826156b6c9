"""Pictures of a run: ``samples.png`` shows the distilled set, ``curves.png`` how every training went."""

from pathlib import Path

from infer.plots.style import drawing, save
from infer.records.names import CURVES_PICTURE, SAMPLES_PICTURE
from infer.records.runs import Run


def draw(run: Run, outputs: Path, folder: Path) -> list[str]:
    """Write the pictures of ``run`` into ``folder``, each if there is something to show; gives their names.

    They are drawn from the run's record, its distilled set and the artefacts under ``outputs``.
    """
    if not run.record["sets"]:  # it ended before it knew what it would make
        return []
    with drawing():
        from infer.plots.curves import curves_of
        from infer.plots.samples import samples_of

        title = title_of(run)
        figures = {SAMPLES_PICTURE: samples_of(run, title), CURVES_PICTURE: curves_of(run, outputs, title)}
        drawn = {name: figure for name, figure in figures.items() if figure is not None}
        for name, figure in drawn.items():
            save(figure, folder / name)
    return list(drawn)


def title_of(run: Run) -> str:
    """Data set, method and size of the distilled set."""
    name, main = next(iter(run.record["sets"].items()))
    charged = run.record["storage"]["ipc_charged"]
    return f"{run.setting('dataset.name')}, {name}: {main['size']}, ipc charged {charged:.4g}"
