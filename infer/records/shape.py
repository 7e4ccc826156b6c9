"""Shape of the files that runs and sweeps leave: what every command takes for granted of them.

One file of another shape must not end a command for all the others, so each is checked once, where it is read.
"""

import sys
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], bool]


def faulty_entries(content: Mapping[str, Any], shape: Mapping[str, Check]) -> list[str]:
    """Keys of ``shape`` whose value in ``content`` is of another shape; what is not there is none."""
    return [key for key, fits in shape.items() if key in content and not fits(content[key])]


def is_text(value: Any) -> bool:
    """True of a string."""
    return isinstance(value, str)


def is_number(value: Any) -> bool:
    """True of an integer or a float that is finite, and no larger than floats are."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def is_count(value: Any) -> bool:
    """True of an integer that is no larger than floats are."""
    return isinstance(value, int) and is_number(value)


def is_mapping(value: Any) -> bool:
    """True of a dictionary."""
    return isinstance(value, dict)


def optional(fits: Check) -> Check:
    """The check of a value that may be None."""
    return lambda value: value is None or fits(value)


def list_of(fits: Check) -> Check:
    """The check of a list by that of its items."""
    return lambda value: isinstance(value, list) and all(map(fits, value))


def mapping_of(fits: Check) -> Check:
    """The check of a dictionary by that of its values."""
    return lambda value: isinstance(value, dict) and all(map(fits, value.values()))


def fields(required: Mapping[str, Check], **others: Check) -> Check:
    """The check of a dictionary by those of its entries, of which ``required`` must be there."""
    shape = {**required, **others}
    return lambda value: (
        isinstance(value, dict) and value.keys() >= required.keys() and not faulty_entries(value, shape)
    )


_texts = list_of(is_text)
_summary = fields({"mean": is_number, "std": optional(is_number), "n": is_count, "values": list_of(is_number)})
_metrics = mapping_of(_summary)
_per_student = mapping_of(_metrics)
_storage = fields({}, total_bytes=optional(is_number), ipc_charged=optional(is_number))
_machine = {"device": fields({"name": is_text}), "threads": is_count}
_settings = fields(
    {"M": optional(is_count), "teachers": fields({"archs": _texts})},
    K=optional(is_count),
    dataset=is_mapping,
    evaluate=fields({}, split=optional(is_text)),
    student=fields({}, archs=_texts),
)

RECORD: Mapping[str, Check] = {
    "status": is_text,
    "error": optional(is_text),
    "config": lambda value: value == {} or _settings(value),
    "choices": mapping_of(optional(is_text)),
    "planned": mapping_of(_texts),
    "sets": mapping_of(fields({}, students=mapping_of(_texts))),
    "stages": mapping_of(
        fields({"signatures": _texts, "made": is_count, "reused": is_count}, seconds=optional(is_number))
    ),
    "metrics": _metrics,
    "per_student": _per_student,
    "baselines": mapping_of(
        fields({}, metrics=_metrics, per_student=_per_student, storage=_storage, protocol=optional(is_text))
    ),
    "storage": _storage,
    "analyses": mapping_of(is_text),
    "environment": fields(
        {},
        **_machine,
        computed_on=list_of(fields(_machine)),
        precision=is_text,
        protocol=optional(is_text),
        git_commit=optional(is_text),
        smallest_class=optional(is_count),
    ),
}
"""A run's ``result.json``, by key."""
MANIFEST: Mapping[str, Check] = {
    "files": is_mapping,
    "sizes": fields({}, K=optional(is_count)),
    "dataset": fields({}, fingerprint=optional(is_text), classes=_texts),
    "signature": is_text,
}
"""The manifest of a run's distilled set, by the keys that commands without torch read."""
PROGRESS: Mapping[str, Check] = {
    "stage": optional(is_text),
    "doing": optional(is_text),
    "done": optional(is_number),
    "total": optional(is_number),
    "unit": is_text,
    "per_second": optional(is_number),
    "left_s": optional(is_number),
    "run_left_s": optional(is_number),
}
"""``progress.json``, by key."""
SWEEP: Mapping[str, Check] = {
    "swept": mapping_of(_texts),
    "jobs": list_of(
        fields({"number": is_count, "folder": lambda name: is_text(name) and "/" not in name, "overrides": _texts})
    ),
    "cluster": is_text,
    "words": _texts,
    "started": is_text,
    "snapshot": lambda value: isinstance(value, bool),
    "ended": optional(is_text),
    "removed": _texts,
}
"""``sweep.json``, by key."""
