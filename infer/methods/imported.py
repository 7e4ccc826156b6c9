"""Imported sets: distilled by another program whose format can be read, then labelled and evaluated here."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from omegaconf import MISSING

from infer.config.checks import require
from infer.errors import UsageError
from infer.formats.names import AUTO, FORMATS
from infer.methods.method import Method
from infer.methods.registry import register

if TYPE_CHECKING:
    from infer.context import Context
    from infer.methods.sets.imported_set import ImportedSet


@register("imported")
@dataclass
class ImportedMethod(Method):
    """Settings of the import of a set."""

    path: str = MISSING
    """File or folder of the set, or a set or run of this framework; ``~`` and ``$VARIABLES`` are expanded."""
    format: str = AUTO
    """Format of the set, one of those that ``infer import --help`` lists; ``auto``: detected from the files."""

    def __post_init__(self) -> None:
        allowed = f"use {AUTO}, {', '.join(FORMATS)}"
        require(self.format in (AUTO, *FORMATS), "method.format", self.format, allowed)

    def distilled_set(self, context: "Context") -> "ImportedSet":
        from infer.methods.sets.imported_set import imported_set

        K = context.config.K
        if K is not None:
            raise UsageError(f"K={K} means nothing to method=imported: a set has its own size. Leave it out")
        return imported_set(context, self.path, self.format)
