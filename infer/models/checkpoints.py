"""Weights from checkpoint files of other programs: found in the file, renamed for the network and checked."""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from infer.errors import UsageError
from infer.files import open_regular
from infer.torch_load import load_foreign, require_plain

log = logging.getLogger(__name__)

_WEIGHTS_UNDER = ("state_dict", "model", "net")
_WRAPPERS = ("module.", "_orig_mod.")  # prefixes that DataParallel and torch.compile add to every name
_AVERAGED = "n_averaged"  # a counter that torch's AveragedModel stores with the weights
_SYNONYMS = ({"linear", "fc", "classifier"}, {"shortcut", "downsample"})
_BY_KIND = re.compile(r"layers\.(conv|norm)\.(\d+)\.(.+)")
_IMAGENET_OUTPUTS = 1000
_COUNTER = "num_batches_tracked"  # a buffer of batch norms; outputs do not depend on it, and old files lack it


def read_weights(path: Path) -> dict[str, Tensor]:
    """The weights in a checkpoint: safetensors, or torch's format with the weights at the top level or under
    ``state_dict``, ``model`` or ``net``.

    Prefixes of wrappers and the counter of averaged models are removed. Moving averages (EMA) are read only where there
    are no other weights; the log reports which were read. Raises UsageError where there are no weights.
    """
    if path.suffix == ".safetensors":
        found = _read_safetensors(path)
    else:
        found = _weights_in(load_foreign(path), path)
    weights: dict[str, Tensor] = {}
    for name, value in found.items():
        plain = _unwrapped(name)
        if plain.rpartition(".")[2] == _AVERAGED:
            continue
        if plain in weights:
            raise UsageError(f"{path} has two weights called {plain}, one of them as {name}. Save only one of the two")
        weights[plain] = require_plain(value, f"{name} is", path)
        if not bool(value.isfinite().all()):
            raise UsageError(f"{path}: {name} holds values that are not finite. Give an earlier checkpoint")
    return weights


def fitted_weights(
    target: Mapping[str, Tensor], weights: Mapping[str, Tensor], source: str, imagenet_outputs: list[int] | None = None
) -> dict[str, Tensor]:
    """``weights`` as a state for the network whose state is ``target``.

    Names that the network does not have are mapped: ``linear``, ``fc`` and ``classifier`` are synonyms, as are
    ``shortcut`` and ``downsample``, and the layers of RDED's ConvNet, which are numbered by kind, are numbered in
    sequence. A first part that all names in the file share and the network's names do not (``model.``, ``net.``) is
    removed. Of the 1,000 outputs of an ImageNet-1k network, those in ``imagenet_outputs`` are kept, in that order.

    Raises UsageError, with ``source`` and the first weight that is missing, left over, or of another shape or type.
    """
    weights = _without_prefix(weights, target)
    in_a_row = _in_a_row(weights)
    mapped = {_name_in(target, in_a_row.get(name, name)): (name, value) for name, value in weights.items()}
    doubled = {*weights} - {own for own, _ in mapped.values()}
    if doubled:
        raise UsageError(
            f"{source} has two weights for one weight of the network, one of them {min(doubled)}. Save only one of them"
        )
    _check_all_there(target, mapped, source)
    if imagenet_outputs is not None:
        mapped = {name: (own, _kept(value, target[name], imagenet_outputs)) for name, (own, value) in mapped.items()}
    for name, (own_name, value) in mapped.items():
        _check_type(own_name, value, target[name], source)
        _check_shape(own_name, value, target[name], source)
    return {name: mapped[name][1] if name in mapped else value for name, value in target.items()}


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        open_regular(path).close()  # load_file would wait for a pipe
        return load_file(path)
    except OSError as error:
        raise UsageError(f"{path} is not a file that can be read ({error.strerror})") from error
    except SafetensorError as error:
        raise UsageError(f"{path} cannot be read as safetensors ({error}): it is damaged or of another kind") from error


def _weights_in(content: Any, path: Path) -> dict[str, Tensor]:
    """The dictionary of weights: first under the usual keys, which may be nested, then at the top level, and last an
    average."""
    places = list(_places(content, ""))
    averages = [place for place in places if _is_average(place[0])]
    for place, weights in [each for each in places if each not in averages] + averages:
        if others := [other for other, _ in averages if other != place]:
            _say_once(f"{path}: the weights under {place} are read, not the averages (EMA) under {others[0]}")
        elif averages:
            _say_once(f"{path}: the averages (EMA) under {place} are read: it holds no other weights")
        return dict(weights)
    told = f"keys {', '.join(map(str, list(content)[:5]))}" if isinstance(content, Mapping) else type(content).__name__
    raise UsageError(
        f"{path} holds no weights ({told}): they are looked for under {', '.join(_WEIGHTS_UNDER)} and at the top "
        "level, as a dictionary from names to tensors"
    )


def _places(content: Any, key: str) -> Iterator[tuple[str, Mapping[str, Tensor]]]:
    """Key and weights of each dictionary of weights in ``content``, the usual keys first."""
    if not isinstance(content, Mapping):
        return
    averages = [name for name in content if isinstance(name, str) and _is_average(name)]
    for name in [*_WEIGHTS_UNDER, *averages]:
        yield from _places(content.get(name), f"{key}.{name}" if key else name)
    if all(isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()):
        groups: dict[str, dict[str, Tensor]] = {}  # a dictionary may hold weights (model.x) and averages (ema_model.x)
        for name, value in content.items():
            first = name.partition(".")[0]
            groups.setdefault(first if _is_average(first) else "", {})[name] = value
        for first, weights in groups.items():
            yield ".".join(filter(None, (key, first))) or "the top level", weights


@cache
def _say_once(line: str) -> None:
    """Log ``line`` once, although a file is read twice: for the check before a run, and for its use."""
    log.info(line)


def _is_average(name: str) -> bool:
    return "ema" in re.split(r"[\W_]+", name.lower())


def _unwrapped(name: str) -> str:
    while name.startswith(_WRAPPERS):
        name = name.partition(".")[2]
    return name


def _without_prefix(weights: Mapping[str, Tensor], target: Iterable[str]) -> Mapping[str, Tensor]:
    """``weights`` without the first parts of names that all of them share and the network's names do not."""
    while len(first := {name.partition(".")[0] for name in weights}) == 1 and all("." in name for name in weights):
        if {name.partition(".")[0] for name in target} == first:
            break
        weights = {name.partition(".")[2]: value for name, value in weights.items()}
    return weights


def _in_a_row(names: Iterable[str]) -> dict[str, str]:
    """New names of weights in layers that are numbered by kind (RDED's ConvNet, synthesize/models.py).

    For example ``layers.norm.1.bias`` becomes ``features.5.bias``; other names are left out. A block has a convolution,
    possibly a norm, ReLU and pooling.
    """
    by_kind = {name: match.groups() for name in names if (match := _BY_KIND.fullmatch(name))}
    block = 4 if any(kind == "norm" for kind, _, _ in by_kind.values()) else 3
    return {
        name: f"features.{block * int(depth) + (kind == 'norm')}.{weight}"
        for name, (kind, depth, weight) in by_kind.items()
    }


def _name_in(target: Mapping[str, Tensor], name: str) -> str:
    """The network's name of the weight ``name``; ``name`` itself where the network has no synonym of it either."""
    return next((candidate for candidate in _spellings(name.split(".")) if candidate in target), name)


def _spellings(parts: list[str]) -> Iterator[str]:
    """``parts`` joined by dots, then the same with one part replaced by each of its synonyms."""
    yield ".".join(parts)
    for position, part in enumerate(parts):
        for names in _SYNONYMS:
            if part in names:
                yield from (".".join([*parts[:position], other, *parts[position + 1 :]]) for other in names - {part})


def _check_all_there(target: Mapping[str, Tensor], mapped: Mapping[str, tuple[str, Tensor]], source: str) -> None:
    missing = [name for name in target if name not in mapped and not name.endswith(_COUNTER)]
    left_over = [own_name for name, (own_name, _) in mapped.items() if name not in target]
    if missing or left_over:
        first = [f"the network's {missing[0]} is not in the file"] if missing else []
        first += [f"the file's {left_over[0]} is not in the network"] if left_over else []
        raise UsageError(
            f"{source} is of another architecture: {'; '.join(first)} ({len(missing)} missing, {len(left_over)} left "
            "over). Name the architecture that it was made with in teachers.archs and teachers.checkpoints"
        )


def _kept(value: Tensor, wanted: Tensor, outputs: list[int]) -> Tensor:
    """The rows ``outputs`` of the weight or bias of a last layer for 1,000 classes; other tensors unchanged."""
    is_head = value.shape[:1] == (_IMAGENET_OUTPUTS,) and wanted.shape == (len(outputs), *value.shape[1:])
    return value[outputs] if is_head else value


def _check_type(name: str, value: Tensor, wanted: Tensor, source: str) -> None:
    if wanted.is_floating_point() and not value.is_floating_point():
        given = str(value.dtype).removeprefix("torch.")
        raise UsageError(
            f"{source}: {name} is of type {given} in the file, and weights are floats: it is quantised or damaged. "
            "Save it as float32"
        )


def _check_shape(name: str, value: Tensor, wanted: Tensor, source: str) -> None:
    if value.shape != wanted.shape:
        raise UsageError(
            f"{source}: {name} is {list(value.shape)} in the file and {list(wanted.shape)} in the network. It was made "
            f"with another width, number of classes or image size: {_advice(name, value, wanted)}"
        )


def _advice(name: str, value: Tensor, wanted: Tensor) -> str:
    same_but_first = value.dim() == wanted.dim() and value.shape[1:] == wanted.shape[1:]
    if same_but_first and set(name.split(".")) & _SYNONYMS[0]:
        return f"type dataset=<one of {len(value)} classes>, or give another file"
    return "type the architecture that it was made with in teachers.archs, or give another file"
