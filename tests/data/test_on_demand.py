"""Images that are decoded when they are used: the same as those that are held, wherever they are used."""

import pytest
import torch

from infer.config.evaluate import EvaluateConfig, Mix
from infer.config.training import Crop
from infer.data.holdout import holdout
from infer.data.on_demand import OnDemand, OnHost
from infer.normalisation import Normalisation
from infer.training.batches import BatchSource
from infer.training.draws import Draws
from infer.training.images import Images, LabelledImages
from infer.training.plan import Plan
from infer.training.prefetch import prefetched
from infer.training.scoring import predict_logits

TREE = {"train": {"cat": 5, "dog": 6}, "test": {"cat": 2, "dog": 3}}


class Squares(OnDemand):
    """Float images whose values are their number, and a note of what was asked for."""

    def __init__(self, count: int) -> None:
        super().__init__(count, 2, torch.float32)
        self.asked: list[list[int]] = []

    def load(self, rows: torch.Tensor) -> torch.Tensor:
        self.asked.append(rows.tolist())
        return rows.view(-1, 1, 1, 1).float().expand(-1, 3, 2, 2).clone()


@pytest.fixture
def both(make_tree, load_folder):
    """The same tree held in memory and decoded on demand."""
    root = make_tree(TREE)
    return load_folder(root, in_memory=True), load_folder(root, in_memory=False)


def test_indices_of_any_shape_and_slices_work_as_on_a_tensor():
    images, held = Squares(9), torch.arange(9).view(-1, 1, 1, 1).float().expand(-1, 3, 2, 2)
    for rows in (slice(2, 5), slice(7, 20), torch.tensor([4, 0, 4]), torch.tensor([[1, 2, 3], [6, 5, 4]])):
        assert torch.equal(images[rows], held[rows])
    assert len(images) == 9 and images.shape == held.shape and images[slice(3, 3)].shape == (0, 3, 2, 2)


def test_only_what_is_asked_for_is_made():
    images = Squares(9)
    fewer = images.only(torch.tensor([8, 6, 4])).only(torch.tensor([2, 0]))
    assert len(fewer) == 2 and fewer.shape == (2, 3, 2, 2) and images.asked == []
    assert fewer[:][:, 0, 0, 0].tolist() == [4, 8] and images.asked == [[4, 8]]


def test_changes_are_made_one_after_the_other():
    images = Squares(3).changed(lambda x: x + 1).changed(lambda x: 10 * x)
    assert images[slice(None)][:, 0, 0, 0].tolist() == [10, 20, 30]


def test_a_tensor_that_would_fill_a_gpu_stays_on_the_host(monkeypatch):
    pixels = torch.arange(5 * 12, dtype=torch.uint8).view(5, 3, 2, 2)
    monkeypatch.setattr(OnDemand, "to", lambda images, device: images)
    kept = {}
    for share, memory in (("more", 8 * pixels.nbytes - 1), ("no more", 8 * pixels.nbytes)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, memory=memory: (0, memory))
        monkeypatch.setattr(torch.Tensor, "to", lambda tensor, device: tensor)
        kept[share] = Images(pixels, Normalisation((0.5,) * 3, (0.5,) * 3)).to("cuda").pixels
    assert isinstance(kept["more"], OnHost) and kept["no more"] is pixels
    assert torch.equal(kept["more"][torch.tensor([4, 1])], pixels[[4, 1]])


def test_pixels_and_facts_are_those_of_the_held_set(both):
    held, streamed = both
    assert isinstance(streamed.train.images, OnDemand) and isinstance(held.train.images, torch.Tensor)
    assert streamed.fingerprint == held.fingerprint and streamed.mean == held.mean and streamed.std == held.std
    assert torch.equal(streamed.train.images[:], held.train.images)
    assert torch.equal(streamed.natural(0, 1, 4), held.natural(0, 1, 4))


def test_held_out_images_are_taken_without_decoding_the_rest(both):
    held, streamed = (holdout(data, 0.3, seed=1) for data in both)
    assert isinstance(streamed.val.images, OnDemand)
    for split in ("train", "val", "test"):
        assert torch.equal(getattr(streamed, split).images[:], getattr(held, split).images)
        assert torch.equal(getattr(streamed, split).targets, getattr(held, split).targets)


def test_a_large_split_is_decoded_on_demand_and_a_small_one_is_held(make_tree, load_folder, monkeypatch):
    root = make_tree({"train": {"a": 10, "b": 10}, "test": {"a": 1, "b": 1}})
    of_test = 2 * 3 * 8 * 8
    monkeypatch.setattr("infer.data.tree.os.sysconf", lambda name: 3 * of_test if name == "SC_PAGE_SIZE" else 1)
    data = load_folder(root)
    assert isinstance(data.train.images, OnDemand) and isinstance(data.test.images, torch.Tensor)


@pytest.mark.parametrize(
    "settings",
    [{"crop_padding": 2}, {"crop": Crop.resized}, {"crop_padding": 2, "shuffle_patches": 2, "mix": Mix.cutmix}],
    ids=["padded", "resized", "shuffled"],
)
@pytest.mark.parametrize("units", [None, Normalisation((0.5,) * 3, (0.25,) * 3)], ids=["bytes", "renormalised"])
def test_batches_are_those_of_the_held_set(both, settings, units):
    protocol = EvaluateConfig(protocol="p", epochs=2, batch_size=4, temperature=1, repeats=1, **settings)
    plan = Plan(protocol, 11, mix_alpha=1.0, cutmix=protocol.mix is Mix.cutmix)
    sources = []
    for data in both:
        images = Images(data.train.images, data.normalisation)
        sources.append(BatchSource(images.renormalised(units) if units else images, plan, Draws((0, "test"))))
    for epoch in range(2):
        for held, streamed in zip(*(source.epoch(epoch) for source in sources), strict=True):
            assert torch.equal(held.images, streamed.images)
            assert torch.equal(held.index, streamed.index) and torch.equal(held.partner, streamed.partner)


def test_float_images_change_units_as_held_ones_do():
    units = Normalisation((0.5,) * 3, (0.25,) * 3), Normalisation((0.4,) * 3, (0.2,) * 3)
    streamed = Images(Squares(4), units[0]).renormalised(units[1])
    held = Images(Squares(4)[:], units[0]).renormalised(units[1])
    assert torch.equal(streamed.pixels[:], held.pixels) and streamed.normalisation == held.normalisation == units[1]


def test_logits_are_those_of_the_held_set(both):
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 2))
    logits = [
        predict_logits(
            network, LabelledImages(d.test.images, d.normalisation, d.test.targets, enlarged_to=12), batch_size=2
        )
        for d in both
    ]
    assert logits[0].shape == (5, 2) and torch.equal(*logits)


def test_a_file_that_is_damaged_after_the_facts_is_named_when_it_is_used(make_tree, load_folder, refusal):
    root = make_tree(TREE)
    data = load_folder(root, in_memory=False)
    (root / "train" / "cat" / "3.png").write_bytes(b"no image")
    data.train.images[torch.tensor([0, 10])]
    assert "train/cat/3.png cannot be read" in refusal(lambda: data.train.images[torch.tensor([3])])


def test_prefetching_keeps_the_order_and_works_a_little_ahead():
    begun = []
    results = prefetched(lambda item: begun.append(item) or 2 * item, range(100))
    assert next(results) == 0 and len(begun) <= 4
    assert list(results) == [2 * item for item in range(1, 100)]


def test_an_error_while_prefetching_comes_where_the_result_would():
    results = prefetched(lambda item: 1 / item, [1, 2, 0, 4])
    assert [next(results), next(results)] == [1, 0.5]
    with pytest.raises(ZeroDivisionError):
        next(results)
