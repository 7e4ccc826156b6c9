"""Weights of other programs' checkpoint files: found in the file, renamed for the network and checked."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from infer.errors import UsageError
from infer.torch_load import load_foreign

_WEIGHTS_UNDER = ("state_dict", "model", "net")
_WRAPPERS = ("module.", "_orig_mod.")  # what DataParallel and torch.compile put before every name
_SYNONYMS = ({"linear", "fc", "classifier"}, {"shortcut", "downsample"})
_BY_KIND = re.compile(r"layers\.(conv|norm)\.(\d+)\.(.+)")
_IMAGENET_OUTPUTS = 1000
_COUNTER = "num_batches_tracked"  # of batch norms; no output depends on it, and old files lack it


def read_weights(path: Path) -> dict[str, Tensor]:
    """The weights in a checkpoint: safetensors, or torch's format with the weights under ``state_dict``, ``model`` or
    ``net``, or bare; without the wrappers' prefixes. Raises UsageError where there are none."""
    if path.suffix == ".safetensors":
        found = _read_safetensors(path)
    else:
        found = _weights_in(load_foreign(path), path)
    weights: dict[str, Tensor] = {}
    for name, value in found.items():
        plain = _unwrapped(name)
        if plain in weights:
            raise UsageError(f"{path} has two weights called {plain}, one of them as {name}. Save one of the two alone")
        if not bool(value.isfinite().all()):
            raise UsageError(f"{path}: {name} holds values that are not finite. Give a checkpoint from before that")
        weights[plain] = value
    return weights


def fitted_weights(
    target: Mapping[str, Tensor], weights: Mapping[str, Tensor], source: str, imagenet_outputs: list[int] | None = None
) -> dict[str, Tensor]:
    """``weights`` as a state for the network whose state is ``target``. Names are mapped where the network lacks them:
    ``linear`` is ``fc`` or ``classifier``, ``shortcut`` is ``downsample``, and the layers of RDED's ConvNet, which are
    numbered by kind, are put in a row. Of an ImageNet-1k network's 1,000 outputs, those that ``imagenet_outputs`` lists
    are kept, in that order.

    Raises UsageError naming ``source`` and the first weight that is missing, left over or of another shape.
    """
    in_a_row = _in_a_row(weights)
    mapped = {_name_in(target, in_a_row.get(name, name)): (name, value) for name, value in weights.items()}
    doubled = {*weights} - {own for own, _ in mapped.values()}
    if doubled:
        raise UsageError(f"{source} has two weights for one of the network: {min(doubled)} and another by its side")
    _check_all_there(target, mapped, source)
    if imagenet_outputs is not None:
        mapped = {name: (own, _kept(value, target[name], imagenet_outputs)) for name, (own, value) in mapped.items()}
    for name, (own_name, value) in mapped.items():
        _check_shape(own_name, value, target[name], source)
    return {name: mapped[name][1] if name in mapped else value for name, value in target.items()}


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise UsageError(f"{path} is not a file") from error
    except SafetensorError as error:
        raise UsageError(f"{path} cannot be read as safetensors ({error}): it is damaged or another kind") from error


def _weights_in(content: Any, path: Path) -> dict[str, Tensor]:
    holders = [content[key] for key in _WEIGHTS_UNDER if key in content] if isinstance(content, Mapping) else []
    for holder in [*holders, content]:
        if isinstance(holder, Mapping) and holder and all(isinstance(value, Tensor) for value in holder.values()):
            return dict(holder)
    told = f"keys {', '.join(map(str, list(content)[:5]))}" if isinstance(content, Mapping) else type(content).__name__
    raise UsageError(
        f"{path} holds no weights ({told}): they are looked for under {', '.join(_WEIGHTS_UNDER)} and at the top, as "
        "a dictionary from names to tensors"
    )


def _unwrapped(name: str) -> str:
    while name.startswith(_WRAPPERS):
        name = name.partition(".")[2]
    return name


def _in_a_row(names: Iterable[str]) -> dict[str, str]:
    """New names, such as ``features.5.bias`` for ``layers.norm.1.bias``, of layers that are numbered by kind (RDED's
    ConvNet, synthesize/models.py); none for other names. A block is a convolution, a norm or none, ReLU, pooling."""
    by_kind = {name: match.groups() for name in names if (match := _BY_KIND.fullmatch(name))}
    block = 4 if any(kind == "norm" for kind, _, _ in by_kind.values()) else 3
    return {
        name: f"features.{block * int(depth) + (kind == 'norm')}.{weight}"
        for name, (kind, depth, weight) in by_kind.items()
    }


def _name_in(target: Mapping[str, Tensor], name: str) -> str:
    """The network's name of the weight ``name``; ``name`` itself where it has neither it nor a synonym."""
    return next((candidate for candidate in _spellings(name.split(".")) if candidate in target), name)


def _spellings(parts: list[str]) -> Iterator[str]:
    """``parts`` joined, and then with one of them replaced by each of its synonyms."""
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
    """The rows ``outputs`` of a last layer's weight or bias for 1,000 classes; any other tensor as it is."""
    is_head = value.shape[:1] == (_IMAGENET_OUTPUTS,) and wanted.shape == (len(outputs), *value.shape[1:])
    return value[outputs] if is_head else value


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
