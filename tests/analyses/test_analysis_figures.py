"""Figures and sentences, drawn from numbers alone."""

import json

import numpy as np
import pytest
from helpers.figures import assert_tidy, words_of

from infer.analyses.registry import analysis_of
from infer.config import AnalysisName
from infer.plots import analyses
from infer.plots.analyses import boundary
from infer.records.run import Run


@pytest.fixture(scope="module")
def facts(images, probes):
    """By analysis, as JSON brings them back."""
    made = {name.value: analysis_of(name, images, probes).facts() for name in AnalysisName}
    return json.loads(json.dumps(made))


@pytest.mark.usefixtures("style")
@pytest.mark.parametrize("name", [name.value for name in AnalysisName])
def test_every_figure_is_tidy_and_says_which_set_it_shows(facts, images, name):
    figure = analyses._kind_of(facts[name]).figure(facts[name])
    assert_tidy(figure)
    assert any(images.name in words for words in words_of(figure))


@pytest.mark.parametrize("name", [name.value for name in AnalysisName])
def test_sentences_state_the_leading_numbers(facts, name):
    sentence = analyses.sentence_of(facts[name])
    assert sentence.endswith(".") and sentence.count(". ") == 0
    stated = [f"{value:.{digits}f}" for value in analyses.numbers_of(facts[name]).values() for digits in (0, 1, 2)]
    assert sum(number in sentence for number in stated) >= len(stated) / 3


@pytest.mark.usefixtures("style")
def test_undefined_numbers_are_left_out(facts):
    one_each = json.loads(json.dumps(facts["similarity"]))
    for probe in one_each["probes"].values():
        probe["set"] |= {"within": None, "within_by_class": [None] * 10}
    assert_tidy(analyses._kind_of(one_each).figure(one_each))
    assert "undefined within" in analyses.sentence_of(one_each)
    alone = facts["conflict"] | {"teachers": ["a"], "mean_cosine": None, "cosine": [[1.0]]}
    assert_tidy(analyses._kind_of(alone).figure(alone))
    assert "no others to agree with" in analyses.sentence_of(alone)


@pytest.mark.usefixtures("style")
def test_two_sets_stand_side_by_side(images, probes, make_context):
    from infer.methods.registry import distilled_set

    context = make_context("method=random", "ipc=4", "K=null")
    other = distilled_set(context)
    context.obtain(other)
    facts = analysis_of(AnalysisName.boundary, images, probes, beside=other).facts()
    assert [panel["name"] for panel in facts["panels"]] == ["real images", images.name, other.name]
    figure = analyses._kind_of(facts).figure(facts)
    assert_tidy(figure)
    assert f"accuracy %, {other.name}" in analyses.numbers_of(facts)


def test_regions_have_the_class_of_the_nearest_point():
    places, predicted = np.array([[0.0, 0.0], [4.0, 1.0], [1.0, 5.0]]), np.array([0, 1, 2])
    colours = {0: "#ff0000", 1: "#00ff00", 2: "#0000ff"}
    (left, right, low, high), regions = boundary._regions(places, predicted, colours)
    for row, column in np.random.default_rng(0).integers(boundary._GRID, size=(50, 2)):
        x = left + (right - left) * column / (boundary._GRID - 1)
        y = low + (high - low) * row / (boundary._GRID - 1)
        nearest = np.linalg.norm(places - [x, y], axis=1).argmin()
        assert regions[row, column].argmax() == nearest


def test_a_figure_that_fails_leaves_a_warning(facts, tmp_path, caplog):
    broken = facts["dominance"] | {"norm_ratio": "no numbers"}
    assert analyses.draw(broken, tmp_path, "dominance") == []
    assert "the figure of dominance could not be drawn" in caplog.text and not list(tmp_path.iterdir())


def test_files_of_a_figure(facts, tmp_path):
    files = analyses.draw(facts["dominance"], tmp_path / "new", "dominance")
    assert [file.name for file in files] == ["dominance.png", "dominance.svg", "dominance.pdf"]
    assert all(file.stat().st_size > 1000 for file in files)


@pytest.mark.usefixtures("style")
def test_analyses_of_a_run(context, images, probes, tmp_path):
    signatures = {name.value: analysis_of(name, images, probes) for name in AnalysisName}
    for analysis in signatures.values():
        analysis.facts()
    named = {name: analysis.signature for name, analysis in signatures.items()} | {"gone": "0" * 64}
    (tmp_path / "result.json").write_text(json.dumps({"status": "done", "analyses": named}))
    found = analyses.facts_of(Run("run", tmp_path), context.store.root)
    assert list(found) == list(signatures)
    assert [analyses.sentence_of(each) for each in found.values()] == [
        analyses.sentence_of(analysis.facts()) for analysis in signatures.values()
    ]
    assert analyses.facts_of(Run("old", tmp_path / "nowhere"), context.store.root) == {}
