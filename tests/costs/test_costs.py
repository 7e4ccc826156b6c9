"""Costs before a run: from records of like work, else from timed steps, and what is there already is taken off."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.small_run import SMALL_RUN

from infer.config import Stage
from infer.console import Console
from infer.context import Context
from infer.costs import RunCost, StageCost, as_data, estimate, line_of, memory, roofline, table_of, timing
from infer.costs.memory import peak_bytes
from infer.costs.rate import Rate, in_words
from infer.costs.stopwatch import Stopwatch
from infer.environment import peak_memory_bytes, threads
from infer.models import build
from infer.pipeline.plan import by_stage, plan_evaluations, with_report
from infer.pipeline.prepare import prepare
from infer.pipeline.run import make_all
from infer.work import Pass, Passes, Work

WORDS = (*SMALL_RUN, "evaluate.repeats=1", "baselines=[]", "device=cpu")
MAKING = (Stage.squeeze, Stage.generate, Stage.relabel, Stage.evaluate)
GROWING = ("M=1", "teachers.archs=[resnet8_w8]", "stages=[squeeze]", "teachers.start_size=4")
NET = Passes(Pass.train, "convnet3_w32_batchnorm", 64, 16, 8, 10, "fp32")


@pytest.fixture(scope="module")
def context_in(resolved):
    """A context with a store of its own."""

    def make(outputs, *words: str) -> Context:
        return prepare(replace(resolved(*WORDS, *words), outputs=str(outputs)), outputs, Console(), [])

    return make


def plan_of(context: Context):
    evaluations = plan_evaluations(context, in_sweep=False)
    return with_report(context, evaluations, by_stage(evaluations))


@pytest.fixture(scope="module")
def made(context_in, tmp_path_factory):
    """A store where everything was made, and the seconds that each stage took."""
    outputs = tmp_path_factory.mktemp("made")
    context = context_in(outputs)
    make_all(context, plan_of(context), on_stage_done=lambda: None)
    return outputs, {stage: context.account[stage].seconds for stage in MAKING}


@pytest.fixture
def no_timing(monkeypatch):
    """No step may be timed."""
    monkeypatch.setattr(timing, "_seconds_per_image", None)


def test_what_is_there_costs_nothing(context_in, made, no_timing):
    context = context_in(made[0], "stages=[squeeze,generate,relabel,evaluate]")
    cost = estimate(context, plan_of(context))
    assert cost.seconds == 0 and as_data(cost) == [] and line_of(cost) == "nothing to make: everything is there"


def test_from_nothing_what_is_there_costs_as_well(context_in, made, no_timing):
    context = context_in(made[0], "stages=[squeeze,generate]")
    cost = estimate(context, plan_of(context), from_nothing=True)
    assert [stage.to_make for stage in cost.stages] == [len(plan_of(context)[stage]) for stage in MAKING[:2]]
    assert cost.seconds > 0 and cost.peak_bytes == max(stage.peak_bytes for stage in cost.stages)


def test_records_have_the_peak_memory_of_each_work(context_in, made):
    context = context_in(made[0])
    peaks = [context.store.record(each)["peak_memory_bytes"] for stage in MAKING for each in plan_of(context)[stage]]
    whole = peak_memory_bytes(context.device)["host"]
    if Path("/proc/self/clear_refs").exists():  # Linux
        assert all(whole / 10 < peak <= whole for peak in peaks)
    else:
        assert set(peaks) == {None}


@pytest.mark.parametrize(("fit", "expected"), [(2000, [64, 1024]), (100, [64]), (40, [32]), (1, [2])])
def test_what_does_not_fit_into_memory_is_timed_in_smaller_batches(tmp_path, monkeypatch, fit, expected):
    timed = []
    monkeypatch.setattr(timing, "_seconds_per_image", lambda passes, *_: timed.append(passes.at_once) or 1e-6)
    monkeypatch.setattr(timing, "peak_bytes", lambda passes: passes.at_once)
    monkeypatch.setattr(timing, "memory_bytes", lambda _: fit / timing._MEMORY_SHARE)
    timings = timing.Timings(tmp_path / "timings.json", {}, torch.device("cpu"))
    assert timings.time(replace(NET, at_once=1024), most_seconds=10) == 1e-6
    assert timed == expected


def test_of_what_no_machine_holds_nothing_is_timed(tmp_path, monkeypatch):
    monkeypatch.setattr(timing, "_seconds_per_image", None)
    monkeypatch.setattr(timing, "memory_bytes", lambda _: 2**20)
    timings = timing.Timings(tmp_path / "timings.json", {}, torch.device("cpu"))
    assert timings.time(replace(NET, classes=10_000, at_once=1024), most_seconds=10) is None


def test_the_same_work_again_takes_as_long_as_the_records_say(context_in, made, no_timing):
    outputs, took = made
    context = context_in(outputs, "seed=1")
    cost = estimate(context, plan_of(context))
    seconds = {stage.stage: stage.seconds for stage in cost.stages}
    told = {stage.stage: in_words(stage.rates) for stage in cost.stages}
    assert told[Stage.evaluate] == "from 2 records"  # the teacher of the same architecture was trained alike
    for stage in MAKING:
        assert took[stage] / 2 - 0.1 < seconds[stage] < 2 * took[stage] + 0.6, stage
    assert cost.seconds == pytest.approx(sum(seconds.values()))


def test_records_are_those_of_the_threads_that_the_work_will_have(context_in, made, no_timing):
    """Small images are computed with one thread, however many the process has."""
    with threads(2):
        context = context_in(made[0], "seed=1", "stages=[squeeze]")
        (stage,) = estimate(context, plan_of(context)).stages
        assert context.threads == 1 and "record" in in_words(stage.rates)
        assert torch.get_num_threads() == 2


def test_growing_images_are_less_work_of_a_kind_of_its_own(context_in, tmp_path):
    """Smaller images take more time than their share of the pixels, so records of the one do not tell of the other."""
    words = ("M=1", "teachers.archs=[resnet8_w8]")
    still, growing = (
        plan_of(context_in(tmp_path, *words, *more))[Stage.squeeze][0].work for more in ((), ("teachers.start_size=4",))
    )
    assert growing.kind == f"images from 4 {still.kind}" and growing.units < still.units
    assert [passes.whole.kind for passes in growing.passes] == [still.passes[0].kind] * 2 + [still.passes[1].kind]


def _told(context, hasty: bool) -> float:
    return estimate(context, plan_of(context), hasty=hasty).stages[0].seconds


@pytest.mark.parametrize("hasty", [False, True])
def test_a_step_at_every_size_of_growing_images_is_timed(context_in, tmp_path, monkeypatch, hasty):
    """Images of a quarter of the pixels that take as long as whole ones are not told to take a quarter."""
    timed = []
    monkeypatch.setattr(timing, "_seconds_per_image", lambda passes, *_: timed.append(passes) or 0.001)
    still, growing = (context_in(tmp_path, *GROWING, *words) for words in (("teachers.start_size=null",), ()))
    assert _told(growing, hasty) == pytest.approx(_told(still, hasty), rel=1e-6)
    in_training = [(passes.size, passes.network_size) for passes in timed if passes.how is Pass.train]
    assert in_training == [(8, 8), (4, 8)], "each once, through the network that is built for whole images"


def test_where_no_time_is_left_small_images_take_their_share_of_the_pixels(context_in, tmp_path, monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr(timing, "_seconds_per_image", lambda *_: 0.001)
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))  # every look at it costs a second
    context = context_in(tmp_path, *GROWING)
    (teacher,) = plan_of(context)[Stage.squeeze]
    assert _told(context, hasty=True) is None, "the time was over before the tests were timed"
    one_kind = replace(teacher.work, passes=[passes for passes in teacher.work.passes if passes.how is Pass.train])
    rate = Stopwatch(timing.Timings(tmp_path / "none.json", {}, context.device), hasty=True).rate([one_kind])
    by_pixels = 0.001 * sum(passes.whole_images for passes in one_kind.passes)
    assert rate.seconds_per_unit * one_kind.units == pytest.approx(by_pixels, rel=1e-3)


def test_sizes_without_a_timing_lie_on_a_line_between_the_timed_ones(tmp_path, monkeypatch):
    """Whole images and the smallest are timed even where steps take long."""
    seconds, timed, clock = {8: 0.002, 16: 0.004, 32: 0.006}, [], [0.0]

    def time_steps(passes, *_):
        timed.append(passes.size)
        clock[0] += 9
        return seconds[passes.size]

    monkeypatch.setattr(timing, "_seconds_per_image", time_steps)
    monkeypatch.setattr(timing, "_surely_short", lambda _: True)
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    whole = replace(NET, arch="resnet8_w8", size=32)
    work = Work([whole.at_size(size, 100) for size in (8, 16, 32)])
    rate = Stopwatch(timing.Timings(tmp_path / "timings.json", {}, torch.device("cpu")), hasty=False).rate([work])
    between = 0.002 + (16**2 - 8**2) / (32**2 - 8**2) * 0.004
    assert timed == [32, 8] and rate.seconds_per_unit * work.units == pytest.approx(100 * (0.002 + between + 0.006))


@pytest.mark.parametrize(
    ("module", "builder", "cost_of"),
    [
        (timing, "build", lambda passes: timing._seconds_per_image(passes, torch.device("cpu"), 3, 0.0)),
        (memory, "outline", peak_bytes),
        (roofline, "outline", lambda passes: len(roofline._operations(passes))),
    ],
)
def test_smaller_images_pass_the_network_that_is_built_for_whole_ones(monkeypatch, module, builder, cost_of):
    seen, build_with = [], getattr(module, builder)

    def built(arch, classes, size):
        network = build_with(arch, classes, size)
        network.register_forward_pre_hook(lambda _, inputs: seen.append((size, inputs[0].shape[-1])))
        return network

    monkeypatch.setattr(module, builder, built)
    assert cost_of(replace(NET, arch="resnet8_w8", size=12).at_size(4, 64)) > 0
    assert {*seen} == {(12, 4)}


def test_twice_the_work_takes_twice_as_long(context_in, made, no_timing):
    one, two = (
        estimate(context_in(made[0], "seed=1", *words), plan_of(context_in(made[0], "seed=1", *words)))
        for words in ((), ("teachers.epochs=6", "method.iterations=40"))
    )
    assert two.stages[0].seconds == pytest.approx(2 * one.stages[0].seconds, rel=0.1)
    assert two.stages[1].seconds == pytest.approx(2 * one.stages[1].seconds, rel=0.3)
    assert two.stages[3].seconds == one.stages[3].seconds


@pytest.mark.parametrize("key", ["threads", "device"])
def test_records_of_another_machine_are_not_used(context_in, made, tmp_path, key):
    """They are timed instead, so no number comes from the records."""
    outputs, _ = made
    for path in outputs.glob("teachers/*/record.json"):
        record = json.loads(path.read_text()) | {key: 99}
        copy = tmp_path / path.relative_to(outputs)
        copy.parent.mkdir(parents=True)
        copy.write_text(json.dumps(record))
    context = context_in(tmp_path, "seed=1", "stages=[squeeze]")
    assert [in_words(stage.rates) for stage in estimate(context, plan_of(context)).stages] == ["from timed steps"]


def test_without_records_steps_are_timed_once_per_machine(context_in, tmp_path, monkeypatch):
    timed = []
    monkeypatch.setattr(
        timing, "_seconds_per_image", lambda passes, *_: timed.append((passes.how, passes.arch)) or 0.001
    )
    context = context_in(tmp_path)
    first = estimate(context, plan_of(context))
    once = list(timed)
    assert estimate(context_in(tmp_path), plan_of(context)).seconds == pytest.approx(first.seconds)
    assert timed == once and len(set(once)) == 6  # training, optimising and testing two networks
    student = by_stage(plan_evaluations(context, in_sweep=False))[Stage.evaluate][0]
    images = student.plan.samples_seen + student.plan.num_tests * 360
    evaluate = next(stage for stage in first.stages if stage.stage is Stage.evaluate)
    assert evaluate.seconds == pytest.approx(0.001 * images, abs=0.05)


def test_timed_steps_foretell_a_run(context_in, made, tmp_path):
    context = context_in(tmp_path)
    cost = estimate(context, plan_of(context))
    took = made[1]
    for stage in cost.stages:
        if stage.stage in (Stage.squeeze, Stage.evaluate):
            assert took[stage.stage] / 4 < stage.seconds < 4 * took[stage.stage], stage.stage


def test_in_haste_what_may_take_long_stays_unknown(context_in, tmp_path, no_timing, monkeypatch):
    monkeypatch.setattr(timing, "_SURELY_SHORT", 100)  # pixels: not even two images
    context = context_in(tmp_path, "stages=[squeeze]")
    cost = estimate(context, plan_of(context), hasty=True)
    assert cost.seconds is None and cost.stages[0].seconds is None
    assert line_of(cost) == "time: squeeze unknown; for more, type infer estimate with the same words"


def test_in_haste_a_second_is_enough(context_in, tmp_path, monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr(timing, "_seconds_per_image", lambda *_: 0.001)
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))  # every look at it costs a second
    context = context_in(tmp_path)
    cost = estimate(context, plan_of(context), hasty=True)
    assert cost.seconds is None and sum(stage.seconds is None for stage in cost.stages) == 4


def test_a_step_that_is_impossible_leaves_the_time_unknown(context_in, tmp_path, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(timing, "_seconds_per_image", full)
    context = context_in(tmp_path, "stages=[squeeze]")
    assert estimate(context, plan_of(context)).seconds is None


def test_a_line_and_a_table(context_in, tmp_path, monkeypatch):
    monkeypatch.setattr(timing, "_seconds_per_image", lambda *_: 0.001)
    context = context_in(tmp_path)
    cost = estimate(context, plan_of(context))
    line = line_of(cost)
    assert line.startswith("about ") and "squeeze " in line and "timed steps)" in line
    rows = table_of(cost).rows
    assert [row[0] for row in rows] == [*(stage.value for stage in Stage), "all"]
    assert rows[-1][1] == str(sum(int(row[1]) for row in rows[:-1]))


def test_bytes_on_the_disk_are_those_of_the_files(context_in, made, tmp_path):
    context = context_in(tmp_path)
    expected = {stage.stage: stage.num_bytes for stage in estimate(context, plan_of(context)).stages}
    store = context_in(made[0]).store
    for stage in (Stage.squeeze, Stage.relabel):
        folders = [store.folder(artefact) for artefact in plan_of(context)[stage]]
        there = sum(path.stat().st_size for folder in folders for path in folder.iterdir())
        assert there / 3 < expected[stage] < 3 * there
    for artefact in plan_of(context)[Stage.generate] + plan_of(context)[Stage.squeeze]:
        tensors = [path for path in store.folder(artefact).glob("*.safetensors") if path.stem != "curves"]
        assert artefact.expected_bytes == pytest.approx(sum(path.stat().st_size for path in tensors), rel=0.2, abs=2000)


@pytest.mark.parametrize("how", [Pass.train, Pass.optimise])
@pytest.mark.parametrize("arch", ["resnet18", "convnet3_w32_batchnorm"])
def test_activations_are_counted_as_a_real_pass_keeps_them(how, arch):
    passes = Passes(how, arch, 64, 4, 32, 10, "fp32")
    network = build(arch, 10, 32).train(how is Pass.train).requires_grad_(how is Pass.train)
    real = memory._kept_bytes(network, torch.zeros(4, 3, 32, 32, requires_grad=how is Pass.optimise))
    assert memory._activations(memory.outline(arch, 10, 32), passes) == pytest.approx(real, rel=0.01)


def test_memory_grows_with_the_batch_and_a_way_back_takes_more():
    small, large = peak_bytes(NET), peak_bytes(replace(NET, at_once=160))
    assert large > 5 * small
    assert small > peak_bytes(replace(NET, how=Pass.optimise)) > peak_bytes(replace(NET, how=Pass.forward))


def test_real_steps_are_timed_for_every_way_and_network():
    for how in Pass:
        for precision in ("fp32", "bf16"):
            passes = replace(NET, how=how, precision=precision)
            assert 0 < timing._seconds_per_image(passes, torch.device("cpu"), 3, 0.0) < 1


def test_processes_share_all_but_the_report():
    stages = [StageCost(Stage.squeeze, 1, 30.0), StageCost(Stage.report, 1, 5.0)]
    cost = RunCost(stages, {}, {})
    assert cost.seconds_of(1) == cost.seconds == 35
    assert 5 + 30 / 2 < cost.seconds_of(2) < 35 and cost.seconds_of(4) < cost.seconds_of(2)
    assert RunCost([*stages, StageCost(Stage.evaluate, 1, None)], {}, {}).seconds_of(2) is None


def test_timing_leaves_the_random_numbers_alone():
    before = torch.get_rng_state()
    timing._seconds_per_image(NET, torch.device("cpu"), 1, 0.0)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("rates", "told"),
    [
        ([Rate(1, "records", 3)], "from 3 records"),
        ([Rate(1, "records", 1), Rate(1, "timed steps")], "from 1 record and timed steps"),
        ([Rate(1, "timed steps"), Rate(1, "timed steps")], "from timed steps"),
        ([Rate(1, "assumed")], "assumed"),
        ([], ""),
    ],
)
def test_sources(rates, told):
    assert in_words(rates) == told
