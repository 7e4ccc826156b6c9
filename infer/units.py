"""What the pixels that a network sees are normalised with: the data set's own mean and std, or published ones."""

from typing import Any

from infer.config.training import Normalise
from infer.data.base import Facts
from infer.training.images import Units

_PUBLISHED = {
    Normalise.cifar10: Units((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    Normalise.imagenet: Units((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


def data_units(data: Facts) -> Units:
    """Those of ``data`` itself, in which everything is stored, distilled and handed on."""
    return Units(tuple(data.mean), tuple(data.std))


def units_of(normalise: Normalise, data: Facts) -> Units:
    """What the word ``normalise`` means for networks that see ``data``."""
    return _PUBLISHED.get(normalise) or data_units(data)


def unit_settings(units: Units, data: Facts) -> dict[str, Any]:
    """``units`` for a signature, where they are not those of ``data``; JSON-ready."""
    return {} if units == data_units(data) else {"units": [list(units.mean), list(units.std)]}
