"""infer diff: differences first, what follows from a choice folded, and whether the scores differ for real."""

import json

import pytest
from helpers.records import signature_of, stages

from infer.records.statistics import summarise

A, B = "20260101-090000-000001-digits-infer-ipc10", "20260102-090000-000002-digits-infer-ipc10"


@pytest.fixture
def diff(infer, add_run):
    """Compares run A with the default settings to run B with the given words and changes."""

    def of(words="", *options, top1=(97.0, 98.0, 99.0), a_words="", **changes):
        add_run(A, a_words)
        add_run(B, words, top1, **changes)
        return infer("diff", A, B, *options)

    return of


def rows(out):
    """Cells of each line."""
    return [[cell for cell in line.split("  ") if cell] for line in out.splitlines()]


def test_equal_runs(diff):
    code, out, _ = diff()
    assert code == 0
    assert "none differs" in out and "equal in settings, inputs and scores" in out
    assert out.startswith("A  ")


def test_the_same_number_in_another_spelling_is_equal(diff):
    assert diff("evaluate.lr=2e-3 M=4 K=7", a_words="evaluate.lr=0.002")[0] == 0


def test_one_setting(diff):
    code, out, _ = diff("method.lr=1e-1")
    assert code == 1
    assert ["method.lr", "0.25", " 0.1"] in rows(out) or ["method.lr", "0.25", "0.1"] in rows(out)
    assert "method.iterations" not in out and "(--all shows every setting)" in out


def test_all_shows_equal_settings(diff):
    assert "method.iterations" in diff("method.lr=0.1", "--all")[1]


def test_what_follows_from_a_choice_is_folded_under_it(diff):
    _, out, _ = diff("dataset=cifar10")
    lines = [line.split() for line in out.splitlines()]
    at = lines.index(["dataset", "digits", "cifar10"])
    assert lines[at + 1][1:] == ["setting", "follows"]
    assert ["teachers", "digits", "cifar"] in lines and "teachers.epochs" not in out
    assert ["method/settings", "infer_digits", "infer_cifar"] in lines and "method.jitter_px" not in out
    assert lines.index(["teachers", "digits", "cifar"]) > at


def test_all_unfolds(diff):
    out = diff("dataset=cifar10", "--all")[1]
    assert ["teachers.epochs", "20", "200"] in [line.split() for line in out.splitlines()]
    assert "follow" not in out


def test_a_typed_setting_is_never_folded(diff):
    _, out, _ = diff("dataset=cifar10 teachers.epochs=7")
    assert ["teachers.epochs", "20", "7"] in [line.split() for line in out.splitlines()]


@pytest.mark.parametrize(
    ("words", "warning"),
    [
        ("labeling=dynamic", "PROTOCOL digits_static -> digits_dynamic"),
        ("dataset=cifar10 evaluate=digits_static", "DATA SET digits -> cifar10"),
        ("evaluate.split=val", "TEST SPLIT test -> val"),
    ],
)
def test_numbers_that_cannot_be_compared_are_the_first_line(diff, words, warning):
    assert diff(words)[1].splitlines()[0] == f"THESE NUMBERS CANNOT BE COMPARED: {warning}"


def test_other_contents_under_the_same_name(infer, add_run):
    add_run(A)
    folder = add_run(B)
    manifest = json.loads((folder / "distilled" / "manifest.json").read_text())
    manifest["dataset"]["fingerprint"] = "f" * 64
    (folder / "distilled" / "manifest.json").write_text(json.dumps(manifest))
    first = infer("diff", A, B)[1].splitlines()[0]
    assert first.startswith("THESE NUMBERS CANNOT BE COMPARED: CONTENTS OF THE DATA SET") and first.endswith("ffffffff")


def test_settings_without_effect_do_not_count(diff):
    code, out, _ = diff("outputs=elsewhere device=cpu")
    assert code == 0
    assert "device, outputs: differ without an effect" in out or "outputs, device: differ without an effect" in out


@pytest.mark.parametrize(
    ("top1", "verdict"),
    [
        ((107.0, 108.0, 109.0), ["+10.00", "0.00026", "yes"]),
        ((97.5, 98.5, 99.5), ["+0.50", "0.57", "no"]),
        ((99.0,), ["+1.00", "-", "no spread, n=1"]),
        ((97.0, 98.0, 99.0), ["+0.00", "-", "equal"]),
    ],
)
def test_the_difference_of_scores_beside_its_noise(diff, top1, verdict):
    """With 4 degrees of freedom p = 1 - t (t² + 6) / (t² + 4)^1.5; here t² = 150 and 0.375."""
    _, out, _ = diff(top1=top1)
    line = next(line for line in out.splitlines() if line.startswith("test/top1"))
    assert [cell.strip() for cell in line.split("  ") if cell.strip()][-3:] == verdict
    assert "Welch's t-test, two-sided, larger when p < 0.05" in out


def test_other_scores_alone_make_runs_differ(diff):
    assert diff(top1=(97.0, 98.0, 99.5))[0] == 1


def test_baselines_and_teachers_appear_when_they_differ(diff):
    teacher = {"teacher/resnet8/top1": summarise([90.0])}
    baseline = {"random_hard": {"metrics": {"test/top1": summarise([50.0, 60.0])}}}
    out = diff(baselines=baseline, metrics={"test/top1": summarise([97.0, 98.0, 99.0])} | teacher)[1]
    assert "resnet8" not in out and "random_hard" not in out  # A has none to compare with
    assert "test/top5" in out and "not measured in both" in out


def test_inputs_environment_and_cost(diff):
    common, other = signature_of("teacher"), signature_of("another")
    environment = {"git_commit": "b" * 40 + "+changes", "threads": 2, "protocol": "digits_static", "student_steps": 800}
    _, out, _ = diff(stages=stages(squeeze=[common, other]), environment=environment)
    lines = [line.split() for line in out.splitlines()]
    assert ["squeeze", "1", "-", "1:", other[:8]] in lines
    assert ["git_commit", "a" * 10, "b" * 10 + "+changes"] in lines
    assert "not committed" in out
    assert ["student_steps", "400", "800"] in lines


def test_another_commit_alone_is_no_difference(diff):
    environment = {"git_commit": "b" * 40, "protocol": "digits_static", "student_steps": 400}
    assert diff(environment=environment)[0] == 0


def test_json_and_markdown(diff, infer):
    code, out, _ = diff("labeling=dynamic", "--json", top1=(107.0, 108.0, 109.0))
    found = json.loads(out)
    assert code == 1 and found["equal"] is False
    assert found["not_comparable"] == {"protocol": ["digits_static", "digits_dynamic"]}
    assert found["choices"]["labeling"] == ["static", "dynamic"]
    score = found["scores"]["test/top1"]
    assert score["larger_than_noise"] is True and score["difference"] == pytest.approx(10)
    assert score["welch"]["degrees_of_freedom"] == pytest.approx(4)
    markdown = infer("diff", A, B, "--md")[1]
    assert markdown.startswith("**THESE NUMBERS CANNOT BE COMPARED")
    assert "| labeling | static | dynamic |" in markdown


def test_without_names_the_last_two_finished(infer, add_run):
    add_run(A)
    add_run(B, "method.lr=0.1")
    add_run("20260103-090000-000003-digits", status="running")
    out = infer("diff")[1].splitlines()
    assert out[0].startswith(f"A  {A}") and out[1].startswith(f"B  {B}")


def test_usage_errors(infer, add_run):
    add_run(A)
    for words in (["diff", A], ["diff", A, A, A], ["diff"], ["diff", A, "nothing"], ["diff", "--config", "M=1"]):
        code, out, err = infer(*words)
        assert (code, out) == (2, "") and err.startswith("infer: ") and err.count("\n") == 1


def test_configs_that_were_not_run(infer):
    code, out, _ = infer("diff", "--config", "", "labeling=dynamic M=2")
    assert code == 1
    assert out.splitlines()[0] == "THESE NUMBERS CANNOT BE COMPARED: PROTOCOL digits_static -> digits_dynamic"
    lines = [line.split() for line in out.splitlines()]
    assert ["M", "4", "2"] in lines and ["labeling", "static", "dynamic"] in lines
    assert infer("diff", "--config", "evaluate.lr=0.002", "evaluate.lr=2e-3")[0] == 0
    assert "PROTOCOL digits_static -> digits_static*" in infer("diff", "--config", "", "evaluate.lr=1e-3")[1]


@pytest.mark.parametrize("words", ["method.lrr=1", "method=nothing", "M=0", "ipc=many"])
def test_a_wrong_config_is_one_line(infer, words):
    code, _, err = infer("diff", "--config", words, "")
    assert code == 2 and err.startswith("infer: ") and err.count("\n") == 1
