"""infer results: tables without rows yet, and slips that would lose or misplace a result."""

import pytest

from infer.commands import results
from infer.config.presets import conf_folder

RUN = "20260101-090000-000001-digits-infer-ipc10"
ROOT = "dataset.root=<folder with train/ and test/>"


@pytest.fixture
def added(monkeypatch) -> list:
    """Results that a command adds to those of the package, which stay as they are."""
    found: list = []
    monkeypatch.setattr(results, "add_results", found.extend)
    return found


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("matrix", f"sweep=matrix experiment=cifar10_one_teacher {ROOT}"),
        ("infer_plus", f"experiment=infer_plus_cifar10 {ROOT}"),
        ("ablation_iterations", f"experiment=ablation_iterations {ROOT}"),
    ],
)
def test_a_table_without_rows_says_how_to_measure_them(infer, monkeypatch, table, words):
    monkeypatch.setattr("infer.records.results.read_results", lambda _: [])
    code, out, err = infer("results", table)
    told = f"the table {table} has no rows yet. Measure it: python launch.py {words}, then type infer results {table}"
    assert (code, out, err) == (0, f"{told} --add <run>\n", "")
    assert infer("results", table, "--json")[:2] == (0, "[]\n")


def test_every_table_that_a_preset_names_is_known(infer):
    presets = [path.read_text().partition("`infer results ") for path in sorted(conf_folder().rglob("*.yaml"))]
    tables = {rest.partition("`")[0] for _, mark, rest in presets if mark}
    assert {"matrix", "reproduction"} < tables
    for table in tables:
        assert infer("results", table)[0] == 0


def test_an_unknown_table_is_an_error(infer):
    code, out, err = infer("results", "matrx")
    assert (code, out, err.count("\n")) == (2, "", 1) and "there is no table matrx of results" in err


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "there is no such file"),
        (b"no mark", "has no place for a table. Write these lines where it belongs: <!-- results: reproduction -->"),
        (b"\xff", "is not UTF-8 (invalid start byte at byte 0)"),
    ],
)
def test_nothing_is_added_where_the_page_cannot_be_written(infer, add_run, added, tmp_path, content, says):
    add_run(RUN)
    page = tmp_path / "page.md"
    if content is not None:
        page.write_bytes(content)
    code, _, err = infer("results", "reproduction", "--add", RUN, "--into", str(page))
    assert (code, err.count("\n")) == (2, 1) and says in err and "unexpected" not in err
    assert not added and (page.read_bytes() if page.exists() else None) == content


def test_a_page_behind_a_link_is_written_behind_it(infer, tmp_path):
    page, link = tmp_path / "page.md", tmp_path / "link.md"
    page.write_text("<!-- results: reproduction -->\n<!-- end of results -->\n")
    link.symlink_to(page.name)
    assert infer("results", "reproduction", "--into", str(link))[0] == 0
    assert link.is_symlink() and "| method |" in page.read_text()


@pytest.mark.parametrize("option", ["--name", "--published", "--source"])
def test_words_about_a_row_that_is_not_added(infer, option):
    code, _, err = infer("results", "reproduction", option, "x")
    assert code == 2 and f"{option} is for a row that is added. Type --add RUN as well" in err


@pytest.mark.parametrize("table", ["", " ", "two words", "a/b", "x\n"])
def test_a_table_that_no_page_could_name(infer, add_run, added, table):
    add_run(RUN)
    code, _, err = infer("results", table, "--add", RUN)
    assert (code, err.count("\n"), added) == (2, 1, []) and "is not a name for a table" in err


def test_a_run_without_students_has_no_result(infer, add_run, added):
    add_run(RUN, per_student={}, metrics={})
    code, _, err = infer("results", "matrix", "--add", RUN)
    assert (code, err.count("\n"), added) == (2, 1, []) and f"no student of {RUN} was tested" in err
