"""``samples.png``: images of the distilled set and, for INFER, what its compensators do to natural images."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from safetensors.numpy import load_file

from infer.plots.mosaic import Mosaic, Row
from infer.records.artefacts import StoredArtefact
from infer.records.names import COMPENSATORS, DISTILLED, IMAGES, NATURAL
from infer.records.runs import Run

_MAX_CLASSES = 10
_MAX_IMAGES = 6
_NOTE = (
    "u: black is −max |u|, grey 0, white max |u|, each compensator on its own scale; "
    "‖u‖ and max |u| in normalised units (standard deviations of a channel)"
)


def samples_of(run: Run, title: str) -> Figure | None:
    """The distilled set of ``run`` under ``title``; None when it has not been made."""
    manifest = run.manifest
    if not manifest:
        return None
    names = manifest["dataset"].get("class_titles") or manifest["dataset"]["classes"]
    shown = classes_shown(len(names))
    if len(shown) < len(names):
        title += f" ({len(shown)} of {len(names)} classes)"
    heads = [names[c] for c in shown]
    stored = StoredArtefact(run.folder / DISTILLED, manifest)
    if f"{IMAGES}.safetensors" in stored.files:
        tensors = load_file(stored.file(f"{IMAGES}.safetensors"))
        images, targets = _channels_last(tensors[IMAGES]), tensors["targets"]
        return Mosaic(title, heads, image_rows([list(images[targets == c][:_MAX_IMAGES]) for c in shown])).figure()
    natural = load_file(stored.file(f"{NATURAL}.safetensors"))[NATURAL][:, shown]
    compensators = _stored_compensators(load_file(stored.file(f"{COMPENSATORS}.safetensors")))
    std = manifest["dataset"]["std"]
    if "teachers" not in manifest:  # a set from elsewhere
        return Mosaic(title, heads, image_rows(_composed_columns(natural, compensators, std))).figure()
    rows = composition_rows(natural, compensators, [teacher["arch"] for teacher in manifest["teachers"]], std)
    return Mosaic(title, heads, rows, "compensator u", _NOTE).figure()


def classes_shown(num_classes: int) -> list[int]:
    """All classes, or ten of them evenly spread, the first and the last included."""
    places = np.linspace(0, num_classes - 1, min(num_classes, _MAX_CLASSES)).round().astype(int)
    return [int(place) for place in places]


def composition_rows(
    natural: np.ndarray, compensators: np.ndarray, archs: Sequence[str], std: Sequence[float]
) -> list[Row]:
    """P_0, for each teacher its compensator before the images composed with it, and P_1 where there is one.

    ``natural`` is uint8 [K, C, 3, H, W], ``compensators`` float32 [M, K, 3, H, W] in normalised units.
    """
    rows = [Row("real images\nP₀", list(_channels_last(natural[0])))]
    for arch, u in zip(archs, compensators[:, 0], strict=True):
        label = f"{arch}\nclip(P₀ + u)\n‖u‖ = {np.linalg.norm(u):.2f}\nmax |u| = {np.abs(u).max():.2f}"
        rows.append(Row(label, list(composed(natural[0], u, std)), lead=displayed_compensator(u)))
    if len(natural) > 1:
        rows.append(Row("real images\nP₁", list(_channels_last(natural[1])), apart=True))
    return rows


def image_rows(columns: Sequence[Sequence[np.ndarray]]) -> list[Row]:
    """Row i shows the i-th image, [H, W, 3], of every column that has as many."""
    depth = max(map(len, columns))
    return [Row("", [column[i] if i < len(column) else None for column in columns]) for i in range(depth)]


def composed(natural: np.ndarray, u: np.ndarray, std: Sequence[float]) -> np.ndarray:
    """``natural`` uint8 [..., 3, H, W] plus ``u``, normalised, as a student sees it: float [..., H, W, 3] in [0, 1]."""
    return _channels_last((natural / 255 + u * np.reshape(std, (3, 1, 1))).clip(0, 1))


def displayed_compensator(u: np.ndarray) -> np.ndarray:
    """``u`` [3, H, W], normalised units, as 0.5 + u / (2 max|u|): float [H, W, 3], grey where u is zero."""
    largest = max(float(np.abs(u).max()), float(np.finfo(u.dtype).tiny))
    return _channels_last(0.5 + u / (2 * largest))


def _composed_columns(natural: np.ndarray, compensators: np.ndarray, std: Sequence[float]) -> list[list[np.ndarray]]:
    """By class the first composed images: of each subset the natural image, then one per compensator."""
    in_order = [
        [_channels_last(natural[k]), *(composed(natural[k], u, std) for u in compensators[:, k])]
        for k in range(len(natural))
    ]
    images = [several for subset in in_order for several in subset][:_MAX_IMAGES]
    return [[several[c] for several in images] for c in range(natural.shape[1])]


def _stored_compensators(tensors: Mapping[str, np.ndarray]) -> np.ndarray:
    """float32 [M, K, 3, H, W] from values and, for int8, their scales [M, K, 3]."""
    values: np.ndarray = tensors[COMPENSATORS].astype(np.float32)
    return np.multiply(values, tensors["scales"][..., None, None]) if "scales" in tensors else values


def _channels_last(images: np.ndarray) -> np.ndarray:
    return np.moveaxis(images, -3, -1)
