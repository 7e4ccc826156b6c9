"""Figure of interpolation: R2 and KL of mixed logits over the mixing weight, by probe, for the set and real images."""

from collections.abc import Mapping
from typing import Any, Literal

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from infer.config import AnalysisName
from infer.plots.analyses.kind import Kind, as_array, titled_figure, written
from infer.plots.style import PALETTE

_PANELS = (("r2", "R² of mixed logits"), ("kl", "KL to softmax of mixed logits (nats)"))
_LINES: tuple[tuple[str, str, Literal["-", "--"]], ...] = (("set", "distilled set", "-"), ("real", "real images", "--"))
_LABELS = (("r2", "R2"), ("kl", "KL"))
_TITLE = "Linear interpolation of labels"


def _leading(facts: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Name and numbers of the mean of all probes' logits, which static labels store, or of the only probe."""
    name = list(facts["probes"])[-1]
    return name, facts["probes"][name]


def _numbers(facts: Mapping[str, Any]) -> dict[str, float | None]:
    _, found = _leading(facts)
    return {f"{label}, {source}": found[source][key] for source in ("set", "real") for key, label in _LABELS}


def _sentence(facts: Mapping[str, Any]) -> str:
    name, found = _leading(facts)
    whose = f"{len(facts['archs'])} networks on average" if name not in facts["archs"] else name
    own, real = found["set"], found["real"]
    return (
        f"Over {facts['pairs']} pairs of images of the distilled set, mixed logits explain a share of R² = "
        f"{written(own['r2'])} of the logits of mixed images by {whose} (KL {written(own['kl'])} nats at "
        f"temperature 1), and {written(real['r2'])} (KL {written(real['kl'])}) over pairs of real images."
    )


def _figure(facts: Mapping[str, Any]) -> Figure:
    figure = titled_figure(_TITLE, facts, 8.4, 3.2)
    looks: dict[str, dict[str, Any]] = {
        name: {"color": PALETTE[i % 6], "linewidth": 0.9}
        if name in facts["archs"]
        else {"color": "black", "linewidth": 1.6}
        for i, name in enumerate(facts["probes"])
    }
    for axes, (key, label) in zip(figure.subplots(1, 2), _PANELS, strict=True):
        for name, found in facts["probes"].items():
            for source, _, dashes in _LINES:
                values = as_array(found[source][f"{key}_by_weight"])
                axes.plot(facts["weights"], values, marker="o", markersize=3, linestyle=dashes, **looks[name])
        axes.set_title(label)
        axes.set_xlabel("weight of the first image")
        axes.set_xticks(facts["weights"])
        low, high = axes.get_ylim()
        axes.set_ylim(*((low, max(high, 1)) if key == "r2" else (0, high)))
    handles = [Line2D([], [], label=name, **look) for name, look in looks.items()]
    handles += [Line2D([], [], color="#777777", linestyle=dashes, label=name) for _, name, dashes in _LINES]
    figure.legend(handles=handles, loc="outside right center", handlelength=2)
    return figure


KIND = Kind(AnalysisName.interpolation, _TITLE, _numbers, _sentence, _figure)
