"""Outputs of networks on samples: features and logits of the right images, computed once for all analyses."""

import pytest
import torch

from infer.analyses import sample
from infer.analyses.outputs import Outputs
from infer.analyses.registry import analysis_of, signs_of_failure
from infer.analyses.sample import network_inputs, real_beside, sample_of
from infer.config import AnalysisName, Stage
from infer.context import Context
from infer.data.on_demand import OnDemand
from infer.errors import UsageError
from infer.methods.registry import distilled_set
from infer.methods.sets.features import head_of
from infer.stages import generate
from infer.store.artefact import with_ancestors
from infer.training.scoring import predict_logits


def test_logits_are_those_of_the_network_and_features_what_its_head_makes_them_of(context, images, probes):
    found = Outputs(context, probes[1], sample_of(images))
    network = probes[1].network()
    torch.testing.assert_close(found.logits, predict_logits(network, images.images()))
    head = network.get_submodule(head_of(network, probes[1].arch, context.data.image_size))
    torch.testing.assert_close(head(found.features), found.logits)
    assert torch.equal(found.targets, images.targets()) and torch.equal(found.rows, torch.arange(90))
    assert not network.training


def test_real_images_are_as_many_of_every_class_and_of_the_training_data(context, images):
    data = context.data
    beside = real_beside(images)
    kept, targets = beside.read()
    assert targets.bincount().tolist() == [9] * 10  # K 3, M 2
    assert torch.equal(targets, data.train.targets[beside.rows()])
    assert torch.equal(kept.pixels, data.train.images[beside.rows()])


def test_a_large_set_is_seen_by_its_first_images_of_every_class(images, monkeypatch):
    monkeypatch.setattr(sample, "MOST_IMAGES", 40)
    rows = sample_of(images).rows()
    assert rows.tolist() == list(range(40))  # composed images come class by class
    assert real_beside(images).read()[1].bincount().tolist() == [4] * 10


def test_a_set_that_is_composed_on_demand_gives_the_same(images, monkeypatch):
    held, _ = sample_of(images).read()
    monkeypatch.setattr("infer.methods.sets.infer_set._COMPOSED_AT_ONCE", 0)
    monkeypatch.setattr(sample, "MOST_IMAGES", 40)
    on_demand, targets = sample_of(images).read()
    assert isinstance(on_demand.pixels, OnDemand) and len(on_demand) == len(targets) == 40
    rows = torch.tensor([7, 31])
    torch.testing.assert_close(network_inputs(on_demand, rows), network_inputs(held, rows))


def test_inputs_of_a_network_are_normalised(context, images):
    kept, _ = real_beside(images).read()
    rows = torch.tensor([5, 2])
    expected = context.data.normalisation.normalise(kept.pixels[rows])
    torch.testing.assert_close(network_inputs(kept, rows), expected)


def test_analyses_share_outputs_and_are_made_once(context, images, probes):
    several = {name: analysis_of(name, images, probes) for name in AnalysisName}
    assert len({analysis.signature for analysis in several.values()}) == len(AnalysisName)
    outputs = {a.signature for a in with_ancestors(several.values()) if isinstance(a, Outputs)}
    assert len(outputs) == 4  # of two networks on the set and on real images
    facts = {name: analysis.facts() for name, analysis in several.items()}
    made = context.account[Stage.report].made
    again = {name: analysis_of(name, images, probes).facts() for name in AnalysisName}
    assert again == facts and context.account[Stage.report].made == made


def test_interpolation_measures_mixed_images(context, images, probes):
    """One weight and one network, by hand."""
    facts = analysis_of(AnalysisName.interpolation, images, probes).facts()
    first, partner = _pairs(90, context)
    x = images.images().pixels
    network = probes[0].network()
    with torch.no_grad():
        true = network(0.3 * x[first] + 0.7 * x[partner])
        linear = 0.3 * network(x[first]) + 0.7 * network(x[partner])
    r2 = 1 - ((true - linear) ** 2).sum() / ((true - true.mean(dim=0)) ** 2).sum()
    position = facts["weights"].index(0.3)
    found = facts["probes"][probes[0].arch]["set"]["r2_by_weight"][position]
    assert found == pytest.approx(r2.item(), abs=1e-3)


def _pairs(count: int, context: Context):
    from infer.analyses.interpolation import drawn_pairs

    return drawn_pairs(count, context.config.seed)


def test_accuracies_by_block_are_those_of_the_labels(context, images, probes):
    """Rows of the set go to their blocks: k outermost, then block, then class."""
    facts = analysis_of(AnalysisName.conflict, images, probes).facts()
    logits = predict_logits(probes[0].network(), images.images()).view(3, 3, 10, 10)
    hits = (logits.argmax(dim=3) == torch.arange(10)).double().mean(dim=(0, 2)) * 100
    assert facts["accuracy"][0] == pytest.approx(hits.tolist(), rel=1e-5)
    assert facts["blocks"] == ["natural", *(probe.arch for probe in probes)]


def test_boundary_shows_the_classes_that_were_asked_for(images, probes):
    facts = analysis_of(AnalysisName.boundary, images, probes, classes=["8", "3"]).facts()
    assert facts["classes"] == {"3": "3", "8": "8"} and facts["network"] == probes[0].arch
    for panel in facts["panels"]:
        assert set(panel["targets"]) == {3, 8} and len(panel["places"]) == len(panel["targets"]) == 18
        hits = [t == p for t, p in zip(panel["targets"], panel["predicted"], strict=True)]
        assert panel["accuracy"] == pytest.approx(100 * sum(hits) / 18, rel=1e-5)


def test_a_set_without_compensators_or_networks_is_refused(make_context, images):
    random_images = distilled_set(make_context("method=random", "ipc=2", "K=null"))
    for name in (AnalysisName.conflict, AnalysisName.dominance):
        with pytest.raises(UsageError, match=f"{name.value} is about compensators, and digits-random-2 has none"):
            analysis_of(name, random_images, [])
    with pytest.raises(UsageError, match="there are none.*--probe RUN"):
        analysis_of(AnalysisName.similarity, images, [])
    assert signs_of_failure(random_images) == []


def test_a_run_warns_before_it_trains_students(context, images, monkeypatch, caplog):
    monkeypatch.setattr("infer.analyses.dominance.MOST_RATIO", 0.001)
    generate.run(context, [images])
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "compensators outweigh the images" in warning and images.name in warning


def test_an_ordinary_set_gives_no_warning(images):
    assert signs_of_failure(images) == []
