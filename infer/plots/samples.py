"""``samples.png``: images of the distilled set and, for INFER, what its compensators do to natural images."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from safetensors.numpy import load_file

from infer.distilled.codec import EXACT, JPEG, through_jpeg
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
    compensators = _stored_compensators(load_file(stored.file(f"{COMPENSATORS}.safetensors")), natural.shape[-1])
    if compensators.shape[2] > 1:
        compensators = compensators[:, :, shown]
    std, codec = manifest["dataset"]["std"], manifest.get("composed_codec", EXACT)
    if "teachers" not in manifest:  # a set from elsewhere
        return Mosaic(title, heads, image_rows(_composed_columns(natural, compensators, std, codec))).figure()
    archs = [teacher["arch"] for teacher in manifest["teachers"]]
    rows = composition_rows(natural, compensators, archs, std, codec)
    return Mosaic(title, heads, rows, "compensator u", _NOTE).figure()


def classes_shown(num_classes: int) -> list[int]:
    """All classes, or ten of them evenly spread, the first and the last included."""
    places = np.linspace(0, num_classes - 1, min(num_classes, _MAX_CLASSES)).round().astype(int)
    return [int(place) for place in places]


def composition_rows(
    natural: np.ndarray, compensators: np.ndarray, archs: Sequence[str], std: Sequence[float], codec: str = EXACT
) -> list[Row]:
    """P_0, for each teacher its compensator before the images composed with it, and P_1 where there is one.

    ``natural`` is uint8 [K, C, 3, H, W], ``compensators`` float32 [M, K, C or 1, 3, H, W] in normalised units; of those
    with one per class the first leads the row.
    """
    rows = [Row("real images\nP₀", list(seen(natural[0], codec)))]
    for arch, u in zip(archs, compensators[:, 0], strict=True):
        label = f"{arch}\nclip(P₀ + u)\n‖u‖ = {np.linalg.norm(u[0]):.2f}\nmax |u| = {np.abs(u[0]).max():.2f}"
        rows.append(Row(label, list(composed(natural[0], u, std, codec)), lead=displayed_compensator(u[0])))
    if len(natural) > 1:
        rows.append(Row("real images\nP₁", list(seen(natural[1], codec)), apart=True))
    return rows


def image_rows(columns: Sequence[Sequence[np.ndarray]]) -> list[Row]:
    """Row i shows the i-th image, [H, W, 3], of every column that has as many."""
    depth = max(map(len, columns))
    return [Row("", [column[i] if i < len(column) else None for column in columns]) for i in range(depth)]


def composed(natural: np.ndarray, u: np.ndarray, std: Sequence[float], codec: str = EXACT) -> np.ndarray:
    """``natural`` uint8 [..., 3, H, W] plus ``u``, normalised, as a student sees it: [..., H, W, 3], as ``seen``."""
    return seen((natural / 255 + u * np.reshape(std, (3, 1, 1))).clip(0, 1), codec)


def seen(images: np.ndarray, codec: str) -> np.ndarray:
    """``images`` [..., 3, H, W], uint8 or float in [0, 1], through ``codec``: [..., H, W, 3], uint8 or in [0, 1]."""
    if codec == JPEG:
        images = through_jpeg(images if images.dtype == np.uint8 else images * 255)
    return _channels_last(images)


def displayed_compensator(u: np.ndarray) -> np.ndarray:
    """``u`` [3, H, W], normalised units, as 0.5 + u / (2 max|u|): float [H, W, 3], grey where u is zero."""
    largest = max(float(np.abs(u).max()), float(np.finfo(u.dtype).tiny))
    return _channels_last(0.5 + u / (2 * largest))


def _composed_columns(
    natural: np.ndarray, compensators: np.ndarray, std: Sequence[float], codec: str
) -> list[list[np.ndarray]]:
    """By class the first composed images: of each subset the natural image, then one per compensator."""
    in_order = [
        [seen(natural[k], codec), *(composed(natural[k], u, std, codec) for u in compensators[:, k])]
        for k in range(len(natural))
    ]
    images = [several for subset in in_order for several in subset][:_MAX_IMAGES]
    return [[several[c] for several in images] for c in range(natural.shape[1])]


def _stored_compensators(tensors: Mapping[str, np.ndarray], size: int) -> np.ndarray:
    """float32 [M, K, C or 1, 3, size, size] from values and, for int8, the scales of their channels."""
    values: np.ndarray = tensors[COMPENSATORS].astype(np.float32)
    if "scales" in tensors:
        values = values * tensors["scales"][..., None, None]
    if values.ndim == 5:  # one for all classes
        values = values[:, :, None]
    return values if values.shape[-1] == size else _enlarged(values, size)


def _enlarged(values: np.ndarray, size: int) -> np.ndarray:
    """float32 [..., h, h] as [..., size, size], bilinear as in ``infer.distilled.compose``."""
    large = np.empty((*values.shape[:-2], size, size), np.float32)
    for place in np.ndindex(values.shape[:-2]):
        large[place] = Image.fromarray(values[place]).resize((size, size), Image.Resampling.BILINEAR)
    return large


def _channels_last(images: np.ndarray) -> np.ndarray:
    return np.moveaxis(images, -3, -1)
