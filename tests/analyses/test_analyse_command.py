"""infer analyse, and analyses=[...] in a run, end to end on a small run."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.small_run import SMALL_RUN

from infer.commands.gc import collect
from infer.commands.main import run as run_command

_WORDS = (*SMALL_RUN, "evaluate.repeats=1", "baselines=[]", "device=cpu")


@pytest.fixture(scope="module")
def first(tmp_path_factory, launch_in) -> tuple[Path, str]:
    """The folder that a run with one analysis was typed in, and what it said."""
    folder = tmp_path_factory.mktemp("work")
    finished = launch_in(folder, *_WORDS, "analyses=[similarity]")
    assert finished.returncode == 0, finished.stderr
    return folder, finished.stdout


@pytest.fixture
def made(first, monkeypatch) -> Path:
    """The run's folder, relative to where it was typed."""
    monkeypatch.chdir(first[0])
    return next(Path("outputs/runs").iterdir())


@pytest.fixture
def infer(capsys) -> Callable[..., tuple[int, str, str]]:
    def type_in(*words: str) -> tuple[int, str, str]:
        code = run_command(words)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return type_in


def _record(run: Path) -> dict:
    return json.loads((run / "result.json").read_text())


def _artefacts() -> set[str]:
    return {f"{path.parent.name}/{path.name}" for path in Path("outputs").glob("*/*-????????")}


def test_a_run_makes_the_analyses_that_it_was_told(first, made):
    _, said = first
    assert "similarity: The mean cosine similarity" in said
    assert (made / "analyses" / "similarity.png").is_file()
    record = _record(made)
    assert list(record["analyses"]) == ["similarity"]
    assert record["analyses"]["similarity"] in record["stages"]["report"]["signatures"]
    assert "outweigh" not in said and "pull against" not in said


def test_a_run_that_was_told_of_none_names_none(launch_in, first):
    finished = launch_in(first[0], *_WORDS, "outputs=others", "stages=[squeeze]")
    assert finished.returncode == 0, finished.stderr
    assert _record(next((first[0] / "others" / "runs").iterdir()))["analyses"] == {}


def test_the_command_reuses_what_the_run_made(made, infer):
    before = _artefacts()
    code, out, err = infer("analyse", "similarity", str(made))
    assert code == 0, err
    assert _artefacts() == before and "digits-infer-M2-K3, similarity: The mean cosine" in out


def test_the_command_makes_and_records_the_others(made, infer):
    names = ["similarity", "interpolation", "boundary", "conflict", "dominance"]
    code, out, err = infer("analyse", ",".join(names), made.name, "--json")
    assert code == 0, err
    results = json.loads(out)
    assert [result["analysis"] for result in results] == names
    assert all(Path(file).is_file() for result in results for file in result["figures"])
    assert sorted(_record(made)["analyses"]) == sorted(names)
    kept = collect(Path("outputs"), delete=False).data["folders"]
    assert not [folder for folder in kept if "/analyses/" in folder]


def test_a_set_alone_is_seen_through_the_networks_of_a_run(made, infer, tmp_path):
    copy = tmp_path / "moved"
    copy.mkdir()
    for file in (made / "distilled").iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    before = _record(made)
    code, out, err = infer("analyse", "conflict,dominance", str(copy), "--probe", str(made), "--to", str(tmp_path))
    assert code == 0, err
    assert "digits-imported-M2-K3, conflict: The mean cosine" in out
    assert (tmp_path / "digits-imported-M2-K3-dominance.png").is_file()
    assert _record(made) == before
    own = json.loads(infer("analyse", "dominance", str(made), "--json")[1])[0]
    imported = json.loads(infer("analyse", "dominance", str(copy), "--probe", str(made), "--json")[1])[0]
    for of_import, of_run in zip(imported["norm_ratio"], own["norm_ratio"], strict=True):
        assert of_import == pytest.approx(of_run, rel=1e-5)


def test_finished_images_and_two_sets_side_by_side(made, infer, tmp_path):
    exported, pictures = tmp_path / "png", str(tmp_path / "pictures")
    assert infer("export", str(made), "--format", "imagefolder", "--to", str(exported))[0] == 0
    words = ("boundary", str(made), str(exported), "--probe", str(made), "--classes", "3,8", "--to", pictures)
    code, out, err = infer("analyse", *words)
    assert code == 0, err
    assert "Of the classes 3 and 8, convnet3_w32_batchnorm recognises" in out and "digits-imported-imagefolder" in out
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["alikeness", "{run}"], ["'alikeness' is no analysis", "similarity, interpolation, boundary, conflict"]),
        (["boundary", "{run}", "--classes", "3,cat"], ["no class 'cat'", "it has 0, 1, 2"]),
        (["similarity", "{run}", "--classes", "3,4"], ["--classes 3,4 is for boundary"]),
        (["similarity", "{run}/distilled/natural.safetensors"], ["comes without the networks", "--probe RUN"]),
        (["similarity", "nothing-like-it"], ["no run in outputs is called 'nothing-like-it'", "infer ls"]),
    ],
)
def test_a_mistake_is_one_line(made, infer, tmp_path, words, says):
    if "natural" in words[1]:  # a file outside of a run
        target = tmp_path / "natural.safetensors"
        target.write_bytes((made / "distilled" / "natural.safetensors").read_bytes())
        words = [words[0], str(target)]
    code, out, err = infer("analyse", *(word.format(run=made) for word in words))
    assert code == 2 and not out and len(err.strip().splitlines()) == 1, err
    for part in says:
        assert part in err


def test_compensators_are_needed_before_anything_is_made(launch_in, tmp_path):
    words = ("method=random", "ipc=2", "analyses=[dominance]", "device=cpu")
    finished = launch_in(tmp_path, *words)
    assert finished.returncode == 2 and "digits-random-2 has none" in finished.stderr
    assert not list((tmp_path / "outputs").glob("teachers/*"))


def test_networks_are_needed_before_anything_is_made(launch_in, tmp_path):
    words = ("method=random", "ipc=2", "labeling=hard", "baselines=[]", "analyses=[similarity]", "device=cpu")
    finished = launch_in(tmp_path, *words)
    assert finished.returncode == 2 and "trained networks, and there are none" in finished.stderr
    assert not list((tmp_path / "outputs").glob("evals/*"))


def test_an_unknown_name_in_a_run_is_one_line(launch_in, tmp_path):
    finished = launch_in(tmp_path, "analyses=[alikeness]")
    assert finished.returncode == 2 and len(finished.stderr.strip().splitlines()) == 1
    assert "similarity, interpolation, boundary, conflict, dominance" in finished.stderr
