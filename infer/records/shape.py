"""Required structure of the files that runs and sweeps write, which all commands rely on.

A file with another structure must not end a command that reads many files, so each is checked once, when it is read.
"""

import sys
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], bool]


def faulty_entries(content: Mapping[str, Any], shape: Mapping[str, Check]) -> list[str]:
    """Keys of ``shape`` whose value in ``content`` does not pass its check; missing keys are not listed."""
    return [key for key, fits in shape.items() if key in content and not fits(content[key])]


def is_text(value: Any) -> bool:
    """True for a string."""
    return isinstance(value, str)


def is_number(value: Any) -> bool:
    """True for a finite float, and for an integer in the range of floats."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def is_count(value: Any) -> bool:
    """True for an integer in the range of floats."""
    return isinstance(value, int) and is_number(value)


def is_mapping(value: Any) -> bool:
    """True for a dictionary."""
    return isinstance(value, dict)


def optional(fits: Check) -> Check:
    """Check of a value that may be None."""
    return lambda value: value is None or fits(value)


def list_of(fits: Check) -> Check:
    """Check of a list, by the check of its items."""
    return lambda value: isinstance(value, list) and all(map(fits, value))


def mapping_of(fits: Check) -> Check:
    """Check of a dictionary, by the check of its values."""
    return lambda value: isinstance(value, dict) and all(map(fits, value.values()))


def fields(required: Mapping[str, Check], **others: Check) -> Check:
    """Check of a dictionary, by the checks of its entries; those in ``required`` must exist."""
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
"""Checks of a run's ``result.json``, by key."""
MANIFEST: Mapping[str, Check] = {
    "files": is_mapping,
    "sizes": fields({}, K=optional(is_count)),
    "dataset": fields({}, fingerprint=optional(is_text), classes=_texts),
    "signature": is_text,
}
"""Checks of the manifest of a run's distilled set, by key, for the keys that commands without torch read."""
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
"""Checks of ``progress.json``, by key."""
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
"""Checks of ``sweep.json``, by key."""
