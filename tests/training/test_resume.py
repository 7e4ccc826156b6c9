"""Interrupted trainings end with the same weights, and use no checkpoint that is not whole or not theirs."""

import contextlib
import json
import logging
import signal

import pytest
import torch

from infer.config.training import Optimizer, Training
from infer.errors import RunError
from infer.interruption import SIGNALS, Terminated
from infer.training.draws import Draws
from infer.training.growth import Growth
from infer.training.loop import fit
from infer.training.objectives import hard_label_objective
from infer.training.plan import Plan


class Interruption(Exception):
    """Stands for whatever ends a run."""


@pytest.fixture
def run(make_net, separable, tmp_path):
    """Trains a fresh network, interrupted if asked; returns it, the result and the epochs made.

    It is shown 20 images an epoch, and writes a checkpoint after every update of 8 of them, unless told otherwise.
    """

    def start(
        stop_after: int | None = None,
        folder=tmp_path / "checkpoint",
        seed: int = 0,
        draws=None,
        seconds_between: float = 0.0,
        on_images=None,
        testing=None,
        growth=None,
        **changes,
    ):
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
            Plan(settings, len(images), mix_alpha=0.8, growth=growth),
            stream=(seed, "student", "tiny"),
            draws=draws,
            tests={"test": separable(30, seed=1)},
            checkpoint_dir=folder,
            seconds_between_checkpoints=seconds_between,
            on_images=on_images,
            on_epoch=on_epoch,
            testing=testing,
        )
        return net, result, made

    return start


def interrupt(run, **options) -> None:
    with pytest.raises(Interruption):
        run(stop_after=2, **options)


def at(count: int, act):
    """An ``on_images`` that calls ``act`` when so many images were shown."""
    return lambda shown: act() if shown == count else None


def raise_interruption() -> None:
    raise Interruption


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


@pytest.mark.parametrize("count", [8, 36, 40, 48])
@pytest.mark.parametrize(
    "changes", [{}, {"ema_decay": 0.9, "optimizer": Optimizer.sgd}, {"accumulate": 2}, {"growth": Growth(4, 0.25, 0.5)}]
)
def test_a_training_that_stops_within_an_epoch_ends_with_the_same_numbers(run, count, changes):
    whole_net, whole, _ = run(folder=None, **changes)
    with pytest.raises(Interruption):
        run(on_images=at(count, raise_interruption), **changes)
    counts = []
    net, resumed, _ = run(on_images=counts.append, **changes)
    every = [8, 16, 20, 28, 36, 40, 48, 56, 60, 68, 76, 80]
    before = every[every.index(count) - 1] if count > 8 else 8  # the update at hand is lost
    assert counts == [shown for shown in every if shown >= before + (before in (20, 40, 60))]
    assert_bitwise_equal(net, whole_net)
    assert (resumed.history, resumed.samples_seen) == (whole.history, whole.samples_seen)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_within_an_epoch_loses_no_update(run, signals, tmp_path, number):
    whole_net, whole, _ = run(folder=None)
    expected = KeyboardInterrupt if number == signal.SIGINT else Terminated
    with pytest.raises(expected):
        run(on_images=at(36, lambda: signal.raise_signal(number)), seconds_between=1000)
    progress = json.loads((tmp_path / "checkpoint" / "checkpoint.json").read_text())["progress"]
    assert (progress["epoch"], progress["steps"]) == (1, 2)
    counts = []
    net, resumed, _ = run(on_images=counts.append)
    assert counts[:2] == [36, 40]
    assert_bitwise_equal(net, whole_net)
    assert resumed.history == whole.history


def test_a_signal_within_a_test_loses_no_update(run, signals):
    whole_net, whole, _ = run(folder=None)
    tests = []

    @contextlib.contextmanager
    def testing(name, num_images):
        tests.append((name, num_images))
        yield lambda count: signal.raise_signal(signal.SIGTERM) if len(tests) == 2 else None

    with pytest.raises(Terminated) as ended:
        run(testing=testing, seconds_between=1000)
    assert ended.value.exit_code == 143 and tests == [("test", 30)] * 2
    counts = []
    net, resumed, made = run(on_images=counts.append)
    assert counts[:2] == [40, 48] and made == [2, 3, 4]
    assert_bitwise_equal(net, whole_net)
    assert resumed.history == whole.history


def test_a_signal_ends_a_training_without_a_checkpoint_at_once(run, signals):
    counts = []

    def on_images(count):
        counts.append(count)
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Terminated):
        run(folder=None, on_images=on_images)
    assert counts == [8]


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
    assert len(names) == 2 and names[1] == "checkpoint.json"


def tensors_in(folder):
    (path,) = folder.glob("checkpoint-*.safetensors")
    return path


def truncate(folder):
    path = tensors_in(folder)
    path.write_bytes(path.read_bytes()[:-10])


def flip_a_bit(folder):
    path = tensors_in(folder)
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def lose_the_tensors(folder):
    tensors_in(folder).unlink()


def cut_the_description(folder):
    path = folder / "checkpoint.json"
    path.write_bytes(path.read_bytes()[:40])


def empty_the_description(folder):
    (folder / "checkpoint.json").write_text("{}")


def replace_the_description(folder):
    (folder / "checkpoint.json").write_text("[]")


def make_it_old(folder):
    """The description of the version that wrote whole epochs only."""
    path = folder / "checkpoint.json"
    description = json.loads(path.read_text())
    del description["format"], description["progress"]["steps"]
    path.write_text(json.dumps(description))


@pytest.mark.parametrize(
    "damage",
    [
        truncate,
        flip_a_bit,
        lose_the_tensors,
        cut_the_description,
        empty_the_description,
        replace_the_description,
        make_it_old,
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
    "change",
    [
        {"seed": 1},
        {"lr": 0.02},
        {"epochs": 5},
        {"ema_decay": 0.9},
        {"draws": Draws((0, "stored"))},
        {"growth": Growth(4, 0.25, 0.5)},
    ],
)
def test_the_checkpoint_of_another_training_is_not_used(run, caplog, change):
    interrupt(run)
    net, _, made = run(**change)
    assert made[0] == 1
    assert "belongs to other work" in caplog.text
    assert_bitwise_equal(net, run(folder=None, **change)[0])


def test_nothing_is_written_by_a_short_training(run, tmp_path):
    run(seconds_between=20)
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
