"""infer estimate: the costs of a command line that is not run."""

import json

import pytest

WORDS = ("teachers.archs=[convnet3_w32_batchnorm]", "teachers.epochs=2", "stages=[squeeze]", "device=cpu")


def test_nothing_is_made_and_nothing_recorded(infer, outputs):
    code, out, _ = infer("estimate", *WORDS)
    assert code == 0 and out.startswith("about ") and "from timed steps" in out
    kept = {path.name for path in outputs.iterdir()}
    assert kept == {"runs", ".cache"} and not list((outputs / "runs").iterdir())
    assert (outputs / ".cache" / "timings.json").is_file()


def test_for_programs(infer, outputs):
    (entry,) = json.loads(infer("estimate", "--json", *WORDS)[1])
    assert (entry["stage"], entry["to_make"], entry["source"]) == ("squeeze", 1, "from timed steps")
    assert 0 < entry["seconds"] < 60 and entry["disk_bytes"] > 50_000 and entry["peak_memory_bytes"] > 10**8


def test_a_wrong_setting_is_one_line(infer, outputs):
    code, _, err = infer("estimate", "ipc=0")
    assert code == 2 and err.startswith("infer: ") and "ipc=0" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["scale.classes=100000000"], "scale.classes=100000000 is not possible: it may be at most 1,000,000"),
        (["scale.test_per_class=100000000"], "Type scale.test_per_class=10000000 or less"),
        (["teachers.start_size=12"], "teachers.start_size=12 is larger than the images, 8x8 pixels"),
        (["teachers.start_size=4"], "start_size=4 is not possible: convnet3_w32_batchnorm, built for 8x8 pixels"),
    ],
)
def test_what_no_run_could_be_is_not_estimated(infer, words, says):
    for elsewhere in ([], ["--on", "h100"]):
        code, out, err = infer("estimate", *WORDS, *words, *elsewhere)
        assert (code, out, err.count("\n")) == (2, "", 1) and says in err


def test_for_devices_that_are_not_here_nothing_is_timed(infer, outputs):
    code, out, _ = infer("estimate", "--on", "h100", "--devices", "8", *WORDS)
    assert code == 0 and "(assumed)" in out and "8 x NVIDIA H100" in out and "nothing was measured" in out
    assert not (outputs / ".cache" / "timings.json").exists()
    code, _, err = infer("estimate", "--devices", "8", *WORDS)
    assert code == 2 and "--on DEVICE" in err and err.count("\n") == 1
