"""Imported sets: distilled by another program whose format can be read, then labelled and evaluated here."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from omegaconf import MISSING

from infer.config.checks import require
from infer.data.paths import expand
from infer.distilled.manifest import infer_folder, lists, read_manifest
from infer.errors import UsageError
from infer.formats.names import AUTO, FORMATS
from infer.methods.method import Method
from infer.methods.registry import register
from infer.records.names import COMPENSATORS

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
        K = context.config.K
        if K is not None:
            raise UsageError(f"K={K} does not apply to method=imported: an imported set has its own size. Leave it out")
        return imported_set(context, self.path, self.format)


def imported_set(context: "Context", given_path: str, given_format: str) -> "ImportedSet":
    """The set at ``given_path``; raises UsageError where there is none, or none of the run's data set."""
    from infer.methods.sets.imported_composition import ImportedComposition  # torch takes seconds
    from infer.methods.sets.imported_images import ImportedImages

    path = expand(given_path)
    folder = infer_folder(path)
    if folder is not None and lists(read_manifest(folder), COMPENSATORS):
        return ImportedComposition(context, folder)
    return ImportedImages(context, folder or path, given_format)
