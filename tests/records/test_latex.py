"""A sweep's table as LaTeX: booktabs, the best bold, what noise does not tell from it underlined."""

import shutil
import subprocess

import pytest
from helpers.records import write_sweep

from infer.commands.main import run as infer

SCORES = {"1": [90.0, 90.1, 90.2], "2": [95.0, 95.5, 96.0], "4": [95.4, 95.6, 95.9]}


@pytest.fixture
def sweep(tmp_path, monkeypatch) -> str:
    monkeypatch.chdir(tmp_path)
    write_sweep(tmp_path / "outputs/sweeps/made_up", {"M": ["1", "2", "4"]}, SCORES.__getitem__)
    return "made_up"


def printed(capsys, *words: str) -> list[str]:
    assert infer(["table", *words]) == 0
    return capsys.readouterr().out.splitlines()


def test_the_best_is_bold_and_its_equals_are_underlined(sweep, capsys):
    lines = printed(capsys, sweep, "--latex", "--columns", "M,top1,bytes")
    assert lines == [
        r"\begin{tabular}{lrrr}",
        r"\toprule",
        r"job & M & test top-1 \% & bytes \\",
        r"\midrule",
        r"0-M=1 & 1 & $90.1 \pm 0.1$ & 26.2 kB \\",
        r"1-M=2 & 2 & \underline{$95.5 \pm 0.5$} & 26.2 kB \\",
        r"2-M=4 & 4 & $\mathbf{95.6} \pm 0.3$ & 26.2 kB \\",
        r"\bottomrule",
        r"\end{tabular}",
        "% mean and standard deviation, n = 3; bold: best, underlined: within its noise (Welch's t-test, p >= 0.05)",
    ]


def test_rows_are_chosen_by_what_they_have(sweep, capsys):
    lines = printed(capsys, sweep, "--where", "M=2.0")
    assert sum(line.startswith(("0-", "1-", "2-")) for line in lines) == 1
    assert infer(["table", sweep, "--where", "M=3"]) == 2
    assert "no row has this value; there are 1, 2, 4" in capsys.readouterr().err
    assert infer(["table", sweep, "--columns", "lr"]) == 2
    assert "--columns lr is not a column of this table; there are M, test/top1" in capsys.readouterr().err


def test_numbers_that_cannot_be_compared_have_no_best(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_sweep(tmp_path / "outputs/sweeps/unlike", {"labeling": ["static", "dynamic"]}, lambda mode: [1.0, 2.0])
    text = "\n".join(printed(capsys, "unlike", "--latex"))
    assert text.startswith("% THESE NUMBERS CANNOT BE COMPARED") and "mathbf" not in text and "underline" not in text


def test_names_of_settings_are_escaped(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_sweep(tmp_path / "outputs/sweeps/s", {"method.bn_weight": ["1", "2"]}, lambda weight: [1.0, 2.0])
    assert r"method.bn\_weight" in "\n".join(printed(capsys, "s", "--latex"))


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no LaTeX here")
def test_latex_takes_it(sweep, capsys, tmp_path):
    table = "\n".join(printed(capsys, sweep, "--latex"))
    source = f"\\documentclass{{article}}\\usepackage{{booktabs}}\\begin{{document}}{table}\n\\end{{document}}"
    (tmp_path / "paper.tex").write_text(source)
    subprocess.run(["pdflatex", "-halt-on-error", "paper.tex"], cwd=tmp_path, check=True, capture_output=True)
