"""Measured results that come with the package in ``methods/results.csv``, and tables of READMEs made from them."""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

from infer.config.presets import command_that_measures
from infer.errors import UsageError
from infer.files import replaced_whole
from infer.tables import Report, Section, as_markdown

RESULTS_FILE = Path(__file__).resolve().parents[1] / "methods" / "results.csv"
_NAME = r"[\w-]+"
_BLOCK = re.compile(rf"(<!-- results: ({_NAME}) -->\n).*?(<!-- end of results -->)", re.DOTALL)


@dataclass(frozen=True)
class Result:
    """Result for one labelled set and one protocol. All fields are text, empty where nothing is known."""

    table: str
    """Table that the result is a row of: reproduction, matrix, ..."""
    name: str
    """Method or baseline, with the settings in which it differs from other rows."""
    set: str
    """Size of the set as text."""
    labels: str
    protocol: str
    student: str
    n: str
    """Number of students, over all sets."""
    sets: str
    """Number of distilled sets, each with another seed."""
    mean: str
    """Test top-1 after the last epoch, in percent."""
    std: str
    best: str
    """Mean and std of the best tested epoch, which is chosen on the test images."""
    images: str
    """Number of images that a student sees."""
    updates: str
    """Number of updates of a student."""
    bytes: str
    """Bytes of images, compensators and labels."""
    teachers: str
    """Teachers with their test top-1."""
    published: str
    """Published number."""
    source: str
    """Source of the published number."""
    minutes: str
    """Minutes for generation, labels and students, without the teachers."""
    hardware: str
    date: str
    experiment: str
    """The words after ``python launch.py`` that measure the result."""
    commit: str

    @property
    def key(self) -> tuple[str, ...]:
        """Fields that identify the result; a newer measurement with the same key replaces it."""
        return (self.table, self.name, self.set, self.labels, self.protocol, self.student)

    @property
    def score(self) -> str:
        """The score as ``mean ± std (n)``, with the number of sets where there are several."""
        of_sets = f", {self.sets} sets" if self.sets not in ("", "1") else ""
        return f"{self.mean}{f' ± {self.std}' if self.std else ''} ({self.n}{of_sets})"


COLUMNS = tuple(field.name for field in fields(Result))


def read_results(path: Path = RESULTS_FILE) -> list[Result]:
    """The results in ``path``, in the order of the file."""
    with path.open(newline="", encoding="utf-8") as file:
        return [Result(**row) for row in csv.DictReader(file)]


def add_results(new: Iterable[Result], path: Path = RESULTS_FILE) -> None:
    """Add ``new`` to the file, in place of results with the same key.

    A published number of a replaced result is kept if the new one has none.
    """
    results = {result.key: result for result in read_results(path)}
    for result in new:
        old = results.get(result.key)
        if old and not result.published:
            result = replace(result, published=old.published, source=old.source)
        results[result.key] = result
    with replaced_whole(path, "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(astuple(result) for result in results.values())


def tabulate_results(table: str, path: Path = RESULTS_FILE) -> Report:
    """The table ``table``, with a row per result, or by method and labels for the matrix.

    For a table without rows yet it is a note on how it is measured.

    Raises UsageError where there is no such table.
    """
    results = read_results(path)
    rows = [result for result in results if result.table == table]
    if not rows and (command := command_that_measures(table)):
        add = f"infer results {table} --add <run>"
        return Report([], lines=[f"the table {table} has no rows yet. Measure it: {command}, then type {add}"])
    if not rows:
        known = ", ".join(dict.fromkeys(result.table for result in results)) or "none yet"
        raise UsageError(f"there is no table {table} of results; there are: {known}")
    section = _by_labels(rows) if table.startswith("matrix") else _as_list(rows)
    return Report([vars(result) for result in rows], sections=[section])


def require_table_name(table: str) -> None:
    """Raise UsageError unless a page can name ``table``."""
    if not re.fullmatch(_NAME, table):
        raise UsageError(f"{table!r} is not a name for a table. Use letters, digits, - and _, e.g. reproduction")


def has_tables(text: str) -> bool:
    """True if ``with_tables`` finds a block in ``text``."""
    return _BLOCK.search(text) is not None


def with_tables(text: str, path: Path = RESULTS_FILE) -> str:
    """``text`` of a README, in which every block between ``<!-- results: NAME -->`` and its end is replaced."""
    return _BLOCK.sub(lambda block: f"{block[1]}\n{as_markdown(tabulate_results(block[2], path))}\n{block[3]}", text)


def _as_list(rows: Sequence[Result]) -> Section:
    columns = ["method", "labels", "student", "published", "test top-1 %", "best epoch", "protocol", "set", "bytes"]
    return Section(
        [*columns, "teachers", "minutes"],
        [
            [
                *(row.name, row.labels, row.student, row.published or "-", row.score, row.best, row.protocol),
                *(row.set, f"{int(row.bytes):,}", row.teachers or "-", row.minutes),
            ]
            for row in rows
        ],
        {"bytes", "minutes"},
    )


def _by_labels(rows: Sequence[Result]) -> Section:
    labels = list(dict.fromkeys(row.labels for row in rows))
    scores = {(row.name, row.labels): row.score for row in rows}
    names = list(dict.fromkeys(row.name for row in rows))
    return Section(
        ["method", *labels], [[name, *(scores.get((name, label), "-") for label in labels)] for name in names]
    )
