"""Tables for papers: LaTeX with booktabs; the best number is bold, numbers within its noise are underlined."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from infer.console import size
from infer.records.noise import LEVEL, welch
from infer.records.statistics import Summary
from infer.tables import Report, is_number, is_summary, shown

_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_ESCAPED = re.compile(r"[\\~^&%$#_{}]")
_BYTES = "total_bytes"


def as_latex(report: Report) -> str:
    """The first table of ``report``, whose data are its rows, as a ``tabular`` with scores as mean ± std without n.

    The best mean in a column of scores is bold, and means that do not differ from it by Welch's t-test are underlined,
    unless the report warns that the numbers cannot be compared. The document needs ``\\usepackage{booktabs}``.
    """
    rows: Sequence[Mapping[str, Any]] = report.data
    columns = report.sections[0].columns if rows else ()
    titles = dict(zip(rows[0] if rows else (), columns, strict=False))  # data for programs have further columns
    warning = report.warning
    marks = {} if warning else {key: _marks([row.get(key) for row in rows]) for key in titles}
    numeric = {key for key in titles if any(is_number(row.get(key)) or is_summary(row.get(key)) for row in rows)}
    lines = [
        *([f"% {warning}"] if warning else []),
        f"\\begin{{tabular}}{{{''.join('r' if key in numeric else 'l' for key in titles)}}}",
        "\\toprule",
        " & ".join(map(_escape, titles.values())) + r" \\",
        "\\midrule",
        *(_row(row, titles, {key: marks[key][i] for key in marks}) for i, row in enumerate(rows)),
        "\\bottomrule",
        "\\end{tabular}",
        _note(rows, titles, warning),
    ]
    return "\n".join(lines) + "\n"


def _row(row: Mapping[str, Any], titles: Mapping[str, str], marks: Mapping[str, str]) -> str:
    return " & ".join(_cell(key, row.get(key), marks.get(key, "")) for key in titles) + r" \\"


def _cell(key: str, value: Any, mark: str) -> str:
    if value is None:
        return "--"
    if is_summary(value):
        spread = "" if value["std"] is None else f" \\pm {value['std']:.1f}"
        number = f"{value['mean']:.1f}"
        return (
            f"$\\mathbf{{{number}}}{spread}$"
            if mark == "best"
            else (f"\\underline{{${number}{spread}$}}" if mark == "close" else f"${number}{spread}$")
        )
    return _escape(size(value) if key == _BYTES else shown(value))


def _marks(column: Sequence[Any]) -> list[str]:
    """``best``, ``close`` or an empty mark for each value of a column; only scores are marked, if there are several."""
    scores = [value for value in column if is_summary(value)]
    if len(scores) < 2:
        return [""] * len(column)
    best = max(scores, key=lambda score: score["mean"])
    return [_mark(value, best) if is_summary(value) else "" for value in column]


def _mark(score: Summary, best: Summary) -> str:
    if score["mean"] == best["mean"]:
        return "best"
    test = welch(score, best)
    return "close" if test is not None and not test.is_larger_than_noise else ""


def _note(rows: Sequence[Mapping[str, Any]], titles: Mapping[str, str], warning: str | None) -> str:
    """LaTeX comment with the explanations that a caption needs."""
    counts = sorted({row[key]["n"] for row in rows for key in titles if is_summary(row.get(key))})
    n = ", ".join(map(str, counts))
    meaning = "" if warning else f"; bold: best, underlined: within its noise (Welch's t-test, p >= {LEVEL:g})"
    return f"% mean and standard deviation, n = {n}{meaning}" if counts else "% no scores"


def _escape(text: str) -> str:
    return _ESCAPED.sub(lambda found: _SPECIAL.get(found[0], "\\" + found[0]), text)
