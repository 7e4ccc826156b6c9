"""The numbers of every analysis, against computations in numpy that follow the definitions word by word."""

from itertools import combinations, product

import numpy as np
import pytest
import torch

from infer.analyses import boundary, conflict, dominance, interpolation, similarity
from infer.analyses.parts import Parts
from infer.errors import UsageError
from infer.normalisation import Normalisation

NORMALISATION = Normalisation.of([0.3, 0.4, 0.5], [0.2, 0.25, 0.3])


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def parts(teachers=3, subsets=2, classes=4, size=6, per_class=False, factor=1.0, scale=1) -> Parts:
    natural = torch.randint(0, 256, (subsets, classes, 3, size, size), generator=torch.Generator().manual_seed(1))
    shape = (classes,) if per_class else ()
    u = factor * random(teachers, subsets, *shape, 3, size // scale, size // scale)
    return Parts(natural.to(torch.uint8), u, [f"t{number}" for number in range(teachers)], NORMALISATION)


def test_cosines_are_means_over_pairs():
    features, targets = random(11, 5), torch.tensor([0, 0, 0, 3, 3, 3, 3, 7, 7, 7, 7])
    found = similarity.cosines(features, targets)
    unit = (features / features.norm(dim=1, keepdim=True)).numpy()
    pairs = [(unit[i] @ unit[j], {int(targets[i]), int(targets[j])}) for i, j in combinations(range(11), 2)]
    assert found["within"] == pytest.approx(np.mean([cosine for cosine, classes in pairs if len(classes) == 1]), 1e-5)
    assert found["between"] == pytest.approx(np.mean([cosine for cosine, classes in pairs if len(classes) == 2]), 1e-5)
    for position, c in enumerate((0, 3, 7)):
        own = [cosine for cosine, classes in pairs if classes == {c}]
        others = [cosine for cosine, classes in pairs if c in classes and len(classes) == 2]
        assert found["within_by_class"][position] == pytest.approx(np.mean(own), 1e-5)
        assert found["between_by_class"][position] == pytest.approx(np.mean(others), 1e-5)


def test_cosines_without_pairs_are_undefined():
    found = similarity.cosines(random(3, 4), torch.arange(3))
    assert found["within"] is None and found["within_by_class"] == [None] * 3 and found["between"] is not None


def test_fit_of_mixed_logits():
    true, linear = random(2, 30, 4), random(2, 30, 4) * 0.3
    found = interpolation.fit_of(true, linear)
    z, predicted = true.double().numpy(), linear.double().numpy()
    errors, spreads, divergences = [], [], []
    for w in range(2):
        errors.append(sum((z[w, i, c] - predicted[w, i, c]) ** 2 for i, c in product(range(30), range(4))))
        spreads.append(sum((z[w, i, c] - z[w, :, c].mean()) ** 2 for i, c in product(range(30), range(4))))
        p, q = (np.exp(values) / np.exp(values).sum(axis=1, keepdims=True) for values in (z[w], predicted[w]))
        divergences.append((p * np.log(p / q)).sum(axis=1).mean())
    assert found["r2"] == pytest.approx(1 - sum(errors) / sum(spreads), 1e-6)
    assert found["r2_by_weight"] == pytest.approx([1 - e / s for e, s in zip(errors, spreads, strict=True)], 1e-6)
    assert found["kl_by_weight"] == pytest.approx(divergences, 1e-6)
    assert found["kl"] == pytest.approx(np.mean(divergences), 1e-6)


def test_labels_that_interpolate_exactly_fit_exactly():
    found = interpolation.fit_of(random(2, 9, 4), random(2, 9, 4))
    assert found["r2"] == 1 and found["kl"] == 0


def test_pairs_are_of_two_different_images_and_repeat_with_the_seed():
    first, partner = interpolation.drawn_pairs(7, seed=0)
    assert len(first) == interpolation.PAIRS and not (first == partner).any()
    assert set(first.tolist()) == set(partner.tolist()) == set(range(7))
    assert torch.equal(first, interpolation.drawn_pairs(7, seed=0)[0])
    assert not torch.equal(first, interpolation.drawn_pairs(7, seed=1)[0])


@pytest.mark.parametrize("per_class", [False, True])
def test_agreement_of_compensators(per_class):
    given = parts(per_class=per_class)
    found = conflict.agreement(given)
    vectors = given.compensators.numpy().reshape(3, 2, -1)
    cosine = np.zeros((2, 3, 3))
    for k, a, b in product(range(2), range(3), range(3)):
        one, other = vectors[a, k], vectors[b, k]
        cosine[k, a, b] = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    np.testing.assert_allclose(found["cosine_by_subset"], cosine, atol=1e-6)
    np.testing.assert_allclose(found["cosine"], cosine.mean(axis=0), atol=1e-6)
    pairs = [cosine[k, a, b] for k in range(2) for a, b in combinations(range(3), 2)]
    assert found["mean_cosine"] == pytest.approx(np.mean(pairs), abs=1e-6)


def test_one_teacher_has_none_to_agree_with():
    found = conflict.agreement(parts(teachers=1))
    assert found["mean_cosine"] is None and conflict.warning_of(found) is None


def test_accuracy_by_block():
    logits = torch.eye(4)[[0, 1, 2, 3, 1, 0]]
    found = conflict.accuracy_by_block(logits, torch.tensor([0, 1, 0, 3, 1, 1]), torch.tensor([0, 0, 1, 1, 2, 2]), 4)
    assert found == [100, 50, 50, None]


@pytest.mark.parametrize("change", [{}, {"per_class": True}, {"scale": 2}, {"factor": 3.0}])
def test_weight_of_compensators(change):
    given = parts(**change)
    found = dominance.weight_of(given)
    mean, std = (np.reshape(values, (3, 1, 1)) for values in (NORMALISATION.mean, NORMALISATION.std))
    u = given.compensators
    if change.get("scale"):
        u = torch.nn.functional.interpolate(u.flatten(0, 1), size=6, mode="bilinear").unflatten(0, (3, 2))
    u = u.double().numpy() if change.get("per_class") else u.double().numpy()[:, :, None]
    for m, k in product(range(3), range(2)):
        natural = (given.natural[k].double().numpy() / 255 - mean) / std
        added = u[m, k]
        total = natural + added
        seen = np.clip(total, (0 - mean) / std, (1 - mean) / std)
        norms = [np.sqrt(np.mean([(image**2).sum() for image in images])) for images in (added, natural)]
        assert found["norm_ratio"][m][k] == pytest.approx(norms[0] / norms[1], 1e-4)
        assert found["clipped_share"][m][k] == pytest.approx((total != seen).mean(), abs=1e-6)
        contrast = [np.mean([image.var() for image in images]) for images in (seen, natural)]
        assert found["contrast"][m][k] == pytest.approx(contrast[0] / contrast[1], 1e-4)
        diversity = [images.var(axis=0).mean() for images in (seen, natural)]
        assert found["diversity"][m][k] == pytest.approx(diversity[0] / diversity[1], 1e-4)


def test_warnings_name_the_number_and_a_setting():
    quiet, loud = (dominance.warnings_of(dominance.weight_of(parts(factor=factor))) for factor in (0.1, 9.0))
    assert quiet == []
    outweigh, clipped = loud
    assert "above 1." in outweigh and "method.lr" in outweigh
    assert "above 50%" in clipped and "method.lr" in clipped


@pytest.mark.parametrize(("teachers", "limit"), [(2, -0.5), (4, -1 / 6)])
def test_compensators_are_in_conflict_half_of_the_way_to_cancelling(teachers, limit):
    names = [str(number) for number in range(teachers)]
    assert conflict.warning_of({"teachers": names, "mean_cosine": limit + 0.001}) is None
    warning = conflict.warning_of({"teachers": names, "mean_cosine": limit - 0.01})
    assert f"{limit - 0.01:.2f}" in warning and "M=1" in warning


def test_classes_by_name():
    names = ["cat", "dog", "cow", "pig"]
    assert boundary.chosen_classes(names, None) == [0, 1, 2]
    assert boundary.chosen_classes(names[:2], None) == [0, 1]
    assert boundary.chosen_classes(names, ["pig", "cat"]) == [0, 3]
    with pytest.raises(UsageError, match="no class 'owl'; it has cat, dog, cow, pig"):
        boundary.chosen_classes(names, ["cat", "owl"])
    with pytest.raises(UsageError, match="at least two classes"):
        boundary.chosen_classes(names, ["cat"])


def test_the_embedding_keeps_groups_together_and_repeats():
    features = torch.cat([random(12, 8) * 0.1, random(12, 8) * 0.1 + 9])
    places = boundary.embedded(features)
    assert places.shape == (24, 2) and torch.equal(places, boundary.embedded(features))
    distance = torch.cdist(places, places).fill_diagonal_(torch.inf)
    assert ((distance.argmin(dim=1) < 12) == (torch.arange(24) < 12)).all()
