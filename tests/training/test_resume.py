"""Interrupted trainings end with the same weights, and use no checkpoint that is not whole or not theirs."""

import json
import logging

import pytest
import torch

from infer.config.training import Optimizer, Training
from infer.errors import RunError
from infer.training import checkpoint
from infer.training.draws import Draws
from infer.training.loop import fit
from infer.training.objectives import hard_label_objective
from infer.training.plan import Plan


class Interruption(Exception):
    """Stands for whatever ends a run."""


@pytest.fixture(autouse=True)
def write_every_epoch(monkeypatch):
    monkeypatch.setattr(checkpoint, "SECONDS_BETWEEN_WRITES", 0)


@pytest.fixture
def run(make_net, separable, tmp_path):
    """Trains a fresh network, interrupted if asked; returns it, the result and the epochs made."""

    def start(stop_after: int | None = None, folder=tmp_path / "checkpoint", seed: int = 0, draws=None, **changes):
        net, images, made = make_net(), separable(20), []
        settings = Training(**{"epochs": 4, "batch_size": 8, "lr": 0.01, "test_every": 1} | changes)

        def on_epoch(record):
            made.append(record["epoch"])
            if record["epoch"] == stop_after:
                raise Interruption

        result = fit(
            net,
            images,
            hard_label_objective(images.targets),
            Plan(settings, len(images), mix_alpha=0.8),
            stream=(seed, "student", "tiny"),
            draws=draws,
            tests={"test": separable(30, seed=1)},
            checkpoint_dir=folder,
            on_epoch=on_epoch,
        )
        return net, result, made

    return start


def interrupt(run, **options) -> None:
    with pytest.raises(Interruption):
        run(stop_after=2, **options)


def assert_bitwise_equal(net, other) -> None:
    for name, value in net.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


@pytest.mark.parametrize("optimizer", list(Optimizer))
@pytest.mark.parametrize("ema_decay", [None, 0.9])
def test_a_resumed_training_ends_with_the_same_weights(run, optimizer, ema_decay):
    options = {"optimizer": optimizer, "ema_decay": ema_decay}
    whole_net, whole, _ = run(folder=None, **options)
    interrupt(run, **options)
    net, resumed, made = run(**options)
    assert made == [3, 4]
    assert_bitwise_equal(net, whole_net)
    assert resumed.history == whole.history
    assert (resumed.scores, resumed.best, resumed.steps) == (whole.scores, whole.best, whole.steps)


def test_groups_of_parameters_and_parts_of_batches_resume(run):
    options = {"decay_norm_and_bias": False, "accumulate": 2, "shuffle_patches": 2, "crop": "resized"}
    whole_net, whole, _ = run(folder=None, **options)
    interrupt(run, **options)
    net, resumed, made = run(**options)
    assert made == [3, 4]
    assert_bitwise_equal(net, whole_net)
    assert resumed.history == whole.history


def test_draws_that_come_again_resume(run):
    draws = Draws((0, "stored"), cycle=3)
    whole_net, whole, _ = run(folder=None, draws=draws)
    interrupt(run, draws=draws)
    net, resumed, made = run(draws=draws)
    assert made == [3, 4]
    assert_bitwise_equal(net, whole_net)
    assert resumed.history == whole.history


def test_a_length_in_steps_resumes(run):
    whole_net, _, _ = run(folder=None, epochs=None, steps=10)
    interrupt(run, epochs=None, steps=10)
    net, _, made = run(epochs=None, steps=10)
    assert made == [3, 4]
    assert_bitwise_equal(net, whole_net)


def test_seconds_add_up_over_the_attempts(run, tmp_path):
    interrupt(run)
    path = tmp_path / "checkpoint" / "checkpoint.json"
    description = json.loads(path.read_text())
    description["progress"]["seconds"] = 1000.0
    path.write_text(json.dumps(description))
    assert run()[1].seconds > 1000


def test_a_finished_training_is_not_made_again(run):
    net, result, _ = run()
    again_net, again, made = run()
    assert made == []
    assert_bitwise_equal(again_net, net)
    assert (again.history, again.scores) == (result.history, result.scores)


def test_one_pair_of_files_is_left(run, tmp_path):
    run()
    names = sorted(path.name for path in (tmp_path / "checkpoint").iterdir())
    assert names == ["checkpoint-4.safetensors", "checkpoint.json"]


def truncate(folder):
    path = folder / "checkpoint-2.safetensors"
    path.write_bytes(path.read_bytes()[:-10])


def flip_a_bit(folder):
    path = folder / "checkpoint-2.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def lose_the_tensors(folder):
    (folder / "checkpoint-2.safetensors").unlink()


def cut_the_description(folder):
    path = folder / "checkpoint.json"
    path.write_bytes(path.read_bytes()[:40])


def empty_the_description(folder):
    (folder / "checkpoint.json").write_text("{}")


def replace_the_description(folder):
    (folder / "checkpoint.json").write_text("[]")


@pytest.mark.parametrize(
    "damage",
    [
        truncate,
        flip_a_bit,
        lose_the_tensors,
        cut_the_description,
        empty_the_description,
        replace_the_description,
    ],
)
def test_a_damaged_checkpoint_is_reported_and_not_used(run, tmp_path, caplog, damage):
    interrupt(run)
    damage(tmp_path / "checkpoint")
    with caplog.at_level(logging.WARNING):
        net, _, made = run()
    assert made == [1, 2, 3, 4]
    assert "starts over" in caplog.text
    assert_bitwise_equal(net, run(folder=None)[0])


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"lr": 0.02}, {"epochs": 5}, {"ema_decay": 0.9}, {"draws": Draws((0, "stored"))}]
)
def test_the_checkpoint_of_another_training_is_not_used(run, caplog, change):
    interrupt(run)
    net, _, made = run(**change)
    assert made[0] == 1
    assert "belongs to another training" in caplog.text
    assert_bitwise_equal(net, run(folder=None, **change)[0])


def test_nothing_is_written_by_a_short_training(run, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "SECONDS_BETWEEN_WRITES", 20)
    run()
    assert not (tmp_path / "checkpoint").exists()


def test_a_folder_that_cannot_be_written_is_one_clear_line(run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="Cannot write a checkpoint into .*file"):
        run(folder=tmp_path / "file")


def test_a_diverged_training_leaves_no_checkpoint(run, tmp_path):
    interrupt(run)
    interrupted = sorted((tmp_path / "checkpoint").iterdir())
    assert interrupted
    with pytest.raises(RunError, match="diverged"):
        run(lr=1e38)
    assert sorted((tmp_path / "checkpoint").iterdir()) == []
