"""FKD label folders, written here as SRe2L's relabeling does: with torch's own sampler, or that of an older torch."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import BatchSampler, RandomSampler

from infer.errors import UsageError
from infer.formats.fkd import FkdFolder, LabelledBatch, read_batch, write_batches
from infer.formats.fkd_order import indexed_batches

NUM_IMAGES, NUM_CLASSES, BATCH, EPOCHS = 50, 10, 16, 3
TARGETS = torch.arange(NUM_CLASSES).repeat_interleave(NUM_IMAGES // NUM_CLASSES)


class OldRandomSampler(RandomSampler):
    """One permutation per epoch, as before torch threw a second one away."""

    def __iter__(self) -> Iterator[int]:
        yield from torch.randperm(len(self.data_source), generator=self.generator).tolist()


def write_as_sre2l(root: Path, sampler: type, mix: str = "cutmix", items: int = 6, seed: int = 42) -> list[list[int]]:
    """The folder, with numpy scalars where the published code leaves them; gives the rows of every batch."""
    drawn = np.random.default_rng(0)
    generator = torch.Generator()
    generator.manual_seed(seed)
    batches = BatchSampler(sampler(range(NUM_IMAGES), generator=generator), BATCH, drop_last=False)
    rows = []
    for epoch in range(EPOCHS):
        folder = root / f"epoch_{epoch}"
        folder.mkdir(parents=True)
        for number, indices in enumerate(batches):
            rows.append(indices)
            count = len(indices)
            partner = torch.from_numpy(drawn.permutation(count))
            lam = drawn.beta(1.0, 1.0)
            bbox = list(np.clip(drawn.integers(-3, 12, 4), 0, 8))
            shown = torch.tensor(indices) if lam >= 0.5 else torch.tensor(indices)[partner]
            logits = torch.from_numpy(drawn.normal(0, 1, (count, NUM_CLASSES))).half()
            logits[torch.arange(count), TARGETS[shown]] += 3 * torch.from_numpy(drawn.random(count) < 0.8)
            config = [
                torch.from_numpy(drawn.random((count, 4))).float(),
                torch.from_numpy(drawn.random(count) < 0.5),
                None if mix == "none" else partner,
                None if mix == "none" else float(lam),
                bbox if mix == "cutmix" else None,
                logits,
                torch.tensor(indices),
                torch.from_numpy(drawn.integers(0, 2, (count, 2, 2))),
            ]
            if mix == "none":
                config[5] = (10 * torch.eye(NUM_CLASSES)[TARGETS[indices]]).half()
            torch.save(config[:items], folder / f"batch_{number}.tar")
    return rows


@pytest.mark.parametrize("sampler", [RandomSampler, OldRandomSampler])
@pytest.mark.parametrize("mix", ["cutmix", "mixup", "none"])
def test_the_order_is_found_by_replaying_both_samplers(tmp_path, sampler, mix):
    rows = write_as_sre2l(tmp_path, sampler, mix)
    found = list(indexed_batches(FkdFolder(tmp_path), TARGETS))
    assert [batch.index.tolist() for _, batch in found] == rows
    assert [epoch for epoch, _ in found] == [0] * 4 + [1] * 4 + [2] * 4


def test_both_samplers_differ_from_the_second_epoch_on(tmp_path):
    new, old = (write_as_sre2l(tmp_path / s.__name__, s) for s in (RandomSampler, OldRandomSampler))
    assert new[:4] == old[:4] and new[4:8] != old[4:8]


def test_stored_indices_are_believed(tmp_path):
    rows = write_as_sre2l(tmp_path, RandomSampler, items=7, seed=7)
    assert [batch.index.tolist() for _, batch in indexed_batches(FkdFolder(tmp_path), TARGETS)] == rows


def test_labels_of_other_images_are_refused(tmp_path):
    write_as_sre2l(tmp_path, RandomSampler)
    with pytest.raises(UsageError, match="neither replay of SRe2L's sampler fits"):
        list(indexed_batches(FkdFolder(tmp_path), TARGETS.roll(5)))
    with pytest.raises(UsageError, match="labels 50 images per epoch .* the set has 60"):
        list(indexed_batches(FkdFolder(tmp_path), torch.zeros(60, dtype=torch.int64)))


def test_an_order_of_another_seed_is_refused(tmp_path):
    write_as_sre2l(tmp_path, RandomSampler, seed=43)
    with pytest.raises(UsageError, match="neither replay"):
        list(indexed_batches(FkdFolder(tmp_path), TARGETS))


def test_an_image_that_is_not_there_is_refused(tmp_path):
    write_as_sre2l(tmp_path, RandomSampler, items=7)
    with pytest.raises(UsageError, match="and the set has 9 images"):
        list(indexed_batches(FkdFolder(tmp_path), TARGETS[:9]))


@pytest.mark.parametrize("items", [6, 7, 8])
def test_every_item_comes_through(tmp_path, items):
    rows = write_as_sre2l(tmp_path, RandomSampler, items=items)
    file = tmp_path / "epoch_1" / "batch_3.tar"
    stored = torch.load(file, weights_only=False)
    batch = read_batch(file)
    assert len(batch) == 2
    for found, written in zip(
        (batch.coords, batch.flip, batch.partner, batch.logits), (*stored[:3], stored[5]), strict=True
    ):
        assert torch.equal(found, written) and found.dtype == written.dtype
    assert batch.weight == stored[3] and batch.box == tuple(stored[4])
    assert type(stored[4][0]) is np.int64 and type(batch.box[0]) is int
    assert (batch.index is None) == (items == 6) and (batch.patch_order is None) == (items < 8)
    if items > 6:
        assert batch.index.tolist() == rows[7]
    if items == 8:
        assert torch.equal(batch.patch_order, stored[7])


@pytest.mark.parametrize("mix", ["cutmix", "mixup", "none"])
@pytest.mark.parametrize("items", [6, 7, 8])
def test_a_round_trip_loses_nothing(tmp_path, mix, items):
    write_as_sre2l(tmp_path / "in", RandomSampler, mix, items)
    source = FkdFolder(tmp_path / "in")
    epochs = [[source.batch(e, b) for b in range(count)] for e, count in enumerate(source.batches_per_epoch)]
    assert write_batches(tmp_path / "out", epochs) == 12
    for epoch, count in enumerate(source.batches_per_epoch):
        for number in range(count):
            name = Path(f"epoch_{epoch}", f"batch_{number}.tar")
            before = torch.load(tmp_path / "in" / name, weights_only=False)
            after = torch.load(tmp_path / "out" / name, weights_only=True)
            assert len(after) == items
            for old, new in zip(before, after, strict=True):
                assert torch.equal(old, new) if isinstance(old, torch.Tensor) else old == new


def test_a_written_batch_holds_its_own_rows_only(tmp_path):
    epoch = torch.randn(1000, 10).half()
    batch = LabelledBatch(
        torch.rand(2, 4), torch.tensor([True, False]), None, None, None, epoch[:2], torch.tensor([4, 1])
    )
    write_batches(tmp_path, [[batch]])
    assert (tmp_path / "epoch_0" / "batch_0.tar").stat().st_size < 4000


@pytest.mark.parametrize(
    ("name", "told"), [("epoch_1", "no epoch_1"), ("epoch_0", "no epoch_0"), ("epoch_1/batch_2.tar", "no batch_2.tar")]
)
def test_a_folder_with_a_gap_is_refused(tmp_path, name, told):
    write_as_sre2l(tmp_path, RandomSampler)
    (tmp_path / name).rename(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match=told):
        list(indexed_batches(FkdFolder(tmp_path), TARGETS))


@pytest.mark.parametrize(
    "content", [[1, 2], {"a": 1}, [torch.zeros(2, 4), torch.zeros(3), None, None, None, torch.zeros(2, 5)]]
)
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "batch_0.tar")
    with pytest.raises(UsageError, match="batch_0.tar"):
        read_batch(tmp_path / "batch_0.tar")
