"""A run's outcome in words, and the steps of a sweep with their noise."""

import pytest
from helpers.records import record_of, write_json, write_run, write_sweep
from scipy.stats import ttest_ind_from_stats

from infer.records.effects import effects_of
from infer.records.folders import sweep_jobs
from infer.records.noise import welch_over_pairs
from infer.records.rows import side_by_side
from infer.records.run import Run
from infer.records.statistics import summarise
from infer.records.verdict import verdict


def baseline(top1: list[float], total: int = 25440) -> dict:
    return {"metrics": {"test/top1": summarise(top1)}, "storage": {"total_bytes": total}}


def run_with(tmp_path, **baselines) -> Run:
    folder = write_run(tmp_path / "run", top1=(97.0, 97.5, 97.2), baselines=baselines)
    return Run("run", folder)


def test_the_first_baseline_is_in_the_sentence(tmp_path):
    found = verdict(run_with(tmp_path, random_static=baseline([98.6, 98.5, 98.7]), full=baseline([97.0, 97.5, 97.3])))
    assert found.sentence == (
        "INFER with static labels, 26,152 bytes: 97.23 ± 0.25 (3) %; random images with the same labels, 25,440 bytes: "
        "98.60 ± 0.10 (3) %, ahead by 1.37 points, more than noise."
    )
    assert found.beside[1].startswith("all training images with hard labels")
    assert found.beside[1].endswith("97.27 ± 0.25 (3) %, ahead by 0.03 points, within noise")


@pytest.mark.parametrize(
    ("name", "top1", "said"),
    [
        (
            "random_hard",
            [90.0, 90.1, 90.2],
            "random images with hard labels, 25,440 bytes: 90.10 ± 0.10 (3) %, INFER ahead",
        ),
        (
            "random_static@ipc",
            [98.0],
            "with the same labels, 25,440 bytes, the same nominal ipc: 98.00 (1) %, ahead by",
        ),
        ("random_static@images", [97.0, 97.5, 97.2], "the same number of images: 97.23 ± 0.25 (3) %, equal"),
    ],
)
def test_a_baseline_in_words(tmp_path, name, top1, said):
    (line,) = verdict(run_with(tmp_path, **{name: baseline(top1)})).beside
    assert said in line
    if len(top1) == 1:
        assert line.endswith("no spread to judge it by")


def test_without_baselines_and_without_scores(tmp_path):
    assert verdict(run_with(tmp_path)).sentence.endswith("97.23 ± 0.25 (3) %.")
    write_json(tmp_path / "new" / "result.json", record_of("", [1.0]) | {"metrics": {}})
    assert verdict(Run("new", tmp_path / "new")) is None


def effects(tmp_path, swept, top1, **more) -> list[str]:
    return effects_of(side_by_side(sweep_jobs(write_sweep(tmp_path / "sweeps" / "s", swept, top1, **more))))


def test_one_axis_is_welchs_test_from_value_to_value(tmp_path):
    scores = {"1": [90.0, 91.0, 92.0], "2": [91.0, 91.5, 92.6], "4": [99.0, 99.1, 99.2]}
    found = effects(tmp_path, {"M": ["4", "1", "2"]}, scores.__getitem__)
    assert found == ["M=1 → 2: +0.70 ± 0.75 (within noise)", "M=2 → 4: +7.40 ± 0.48 (more than noise)"]
    a, b = summarise(scores["2"]), summarise(scores["4"])
    expected = ttest_ind_from_stats(b["mean"], b["std"], 3, a["mean"], a["std"], 3, equal_var=False)
    assert welch_over_pairs([(a, b)]).p == pytest.approx(expected.pvalue)


def test_names_are_compared_with_the_first(tmp_path):
    found = effects(
        tmp_path,
        {"method": ["random", "herding", "kcenter"]},
        {"random": [90.0], "herding": [91.0], "kcenter": [89.0]}.__getitem__,
    )
    assert found == [
        "method=random → herding: +1.00 (no spread to judge it by)",
        "method=random → kcenter: -1.00 (no spread to judge it by)",
    ]


def test_several_axes_average_over_what_has_both_values(tmp_path):
    def top1(m, lr):
        return [90 + int(m) + 1000 * float(lr) + noise for noise in (-0.1, 0, 0.1)]

    found = effects(tmp_path, {"M": ["1", "2"], "evaluate.lr": ["1e-3", "2e-3"]}, top1, changes={3: None})
    assert found == [
        "M=1 → 2: +1.00 ± 0.08 (more than noise)",
        "evaluate.lr=0.001 → 0.002: +1.00 ± 0.08 (more than noise)",
    ]
    pairs = [(summarise([1.0, 2.0, 3.0]), summarise([2.0, 3.0, 4.0]))]
    assert welch_over_pairs(pairs * 4).error == pytest.approx(welch_over_pairs(pairs).error / 2)


def test_what_cannot_be_compared_has_no_effects(tmp_path):
    assert effects(tmp_path, {"labeling": ["static", "dynamic"]}, lambda mode: [90.0, 91.0]) == []
