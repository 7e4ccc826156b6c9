"""Results kept with the package: collected from records, replaced by newer ones, and shown in the READMEs."""

import re
from pathlib import Path

import pytest
from helpers.records import signature_of, write_json, write_run

from infer.commands.composition import settings_of_line
from infer.errors import UsageError
from infer.records.results import COLUMNS, add_results, read_results, tabulate_results, with_tables
from infer.records.results_of_runs import results_of
from infer.records.run import Run
from infer.records.statistics import summarise
from infer.tables import as_markdown

ROOT = Path(__file__).resolve().parents[2]
ARCH = "convnet3_w32_batchnorm"
STUDENT = signature_of("student")


@pytest.fixture
def kept(tmp_path) -> Path:
    path = tmp_path / "results.csv"
    path.write_text(",".join(COLUMNS) + "\n")
    return path


def _run(tmp_path: Path, name: str, words: str = "", top1=(40.0, 42.0)) -> Run:
    scores = {"test/top1": summarise(top1), "test/top1_best_epoch": summarise([value + 1 for value in top1])}
    of_random = {"test/top1": summarise([50.0]), "test/top1_best_epoch": summarise([50.0])}
    baseline = {"per_student": {ARCH: of_random}, "storage": {"total_bytes": 25000}, "protocol": "digits_static"}
    size = {"size": "K=7", "images": 350, "students": {ARCH: [STUDENT]}}
    folder = write_run(
        tmp_path / "runs" / name,
        words,
        metrics=scores | {"teacher/resnet8_w8/top1": summarise([98.76])},
        per_student={ARCH: scores},
        baselines={"random_static@images": baseline},
        sets={"infer": size, "random_static@images": size | {"size": "35 images per class"}},
    )
    return Run(name, folder)


def test_a_run_gives_a_row_for_its_set_and_one_for_each_baseline(tmp_path):
    record = {"signature": STUDENT, "seconds": 90.0, "files": {}}
    write_json(tmp_path / "students" / f"one-{STUDENT[:8]}" / "record.json", record)
    run = _run(tmp_path, "one", "M=1 dataset=digits outputs=here")
    own, random = results_of([run], tmp_path, "reproduction", None, "32.0 ± 0.5", "paper, table 1")
    assert (own.name, own.labels, own.mean, own.std, own.n, own.sets) == ("infer", "static", "41.00", "1.41", "2", "1")
    assert (own.best, own.images, own.bytes, own.teachers) == ("42.00 ± 1.41", "350", "26152", "resnet8_w8 98.8")
    assert (own.minutes, own.experiment, own.commit) == ("1.5", "M=1 dataset=digits", "a" * 8)
    assert (own.published, random.published) == ("32.0 ± 0.5", "")
    assert (random.name, random.labels, random.mean, random.std, random.bytes) == (
        *("random_static@images", "static", "50.00", "", "25000"),
    )


def test_sets_of_several_seeds_count_together(tmp_path):
    runs = [_run(tmp_path, "a", "seed=0", (40.0, 42.0)), _run(tmp_path, "b", "seed=1", (44.0, 46.0))]
    own = results_of(runs, tmp_path, "matrix", "INFER", "", "")[0]
    assert (own.name, own.mean, own.score) == ("INFER", "43.00", "43.00 ± 2.58 (4, 2 sets)")


def test_runs_that_differ_in_more_than_the_seed_are_rows_of_their_own(tmp_path):
    runs = [_run(tmp_path, "a", "M=1"), _run(tmp_path, "b", "M=2"), _run(tmp_path, "c", "M=2 variant=float32")]
    found = [each.name for each in results_of(runs, tmp_path, "matrix", None, "", "") if "random" not in each.name]
    assert found == ["infer, M=1", "infer, M=2", "infer, float32, M=2"]


def test_a_run_that_has_not_ended_has_no_result(tmp_path):
    run = Run("a", write_run(tmp_path / "runs" / "a", status="failed"))
    with pytest.raises(UsageError, match="a is failed, so there is no result"):
        results_of([run], tmp_path, "matrix", None, "", "")


def test_a_newer_measurement_replaces_the_old_one_beside_the_same_published_number(tmp_path, kept):
    first = results_of([_run(tmp_path, "a")], tmp_path, "reproduction", None, "32.0", "paper")
    again = results_of([_run(tmp_path, "b", top1=(50.0, 50.0))], tmp_path, "reproduction", None, "", "")
    add_results(first, kept)
    add_results(again, kept)
    own, random = read_results(kept)
    assert (own.mean, own.published, own.source) == ("50.00", "32.0", "paper") and random == again[1]


def test_the_blocks_of_a_readme_are_made_of_the_file(tmp_path, kept):
    add_results(results_of([_run(tmp_path, "a")], tmp_path, "matrix", None, "", ""), kept)
    text = "before\n<!-- results: matrix -->\nold\n<!-- end of results -->\nafter"
    made = with_tables(text, kept)
    assert made.startswith("before\n") and made.endswith("\nafter") and "old" not in made
    assert "| infer | 41.00 ± 1.41 (2) |" in made and with_tables(made, kept) == made
    with pytest.raises(UsageError, match="no table ablation of results; there are: matrix"):
        with_tables(text.replace("matrix", "ablation"), kept)


def test_what_the_readmes_show_is_what_the_package_keeps():
    pages = (ROOT / "README.md", *ROOT.glob("infer/**/*.md"))
    readmes = [path for path in pages if "<!-- results:" in path.read_text()]
    shown = {name for path in readmes for name in re.findall(r"<!-- results: ([\w-]+) -->", path.read_text())}
    assert shown == {result.table for result in read_results()}
    for path in readmes:
        assert with_tables(path.read_text()) == path.read_text(), f"make it again: infer results <table> --into {path}"


def test_every_kept_result_has_a_number_and_a_command_that_still_composes():
    for result in read_results():
        assert float(result.mean) and int(result.n) > 0 and int(result.bytes) > 0
        assert result.date and result.commit and result.hardware, result
    for words in {result.experiment for result in read_results()}:
        settings_of_line(f"{words} dataset.root=somewhere")


def test_a_table_is_a_list_or_a_matrix(tmp_path, kept):
    add_results(results_of([_run(tmp_path, "a")], tmp_path, "reproduction", None, "32.0", "paper"), kept)
    assert "| infer | static | " in as_markdown(tabulate_results("reproduction", kept))
