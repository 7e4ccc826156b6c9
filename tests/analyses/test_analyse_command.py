"""infer analyse, and analyses=[...] in a run, end to end on a small run."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers.small_run import SMALL_RUN, SMALL_TEACHERS
from safetensors.torch import load_file, save_file

from infer.commands.gc import collect
from infer.commands.main import run as run_command
from infer.files import listing, read_json, without_seal, write_sealed

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
    (said,) = [line for line in err.splitlines() if "no weights of this student are kept" in line]
    assert re.match(
        r"digits-infer-M2-K3-static-convnet3_w32_batchnorm-0: .* trained again with its seed; (about|time: evaluate) ",
        said,
    )
    (panel,) = results[2]["panels"]
    assert panel["method"] == "infer" and panel["name"] == "digits-infer-M2-K3"
    assert sorted(_record(made)["analyses"]) == sorted(names)
    kept = collect(Path("outputs"), delete=False).data["folders"]
    assert not [folder for folder in kept if "/analyses/" in folder]


def test_a_run_that_is_told_of_boundary_keeps_a_student_and_needs_no_teachers(launch_in, infer, tmp_path, monkeypatch):
    words = ("method=random", "ipc=3", "labeling=hard", "evaluate.steps=20", "evaluate.repeats=2", "baselines=[]")
    finished = launch_in(tmp_path, *words, "analyses=[boundary]", "device=cpu")
    assert finished.returncode == 0, finished.stderr
    assert "trained on digits-random-3 with hard labels is right on" in finished.stdout
    assert len(list((tmp_path / "outputs" / "evals").glob("digits*"))) == 2
    assert len(list((tmp_path / "outputs" / "evals").glob("digits*/model.safetensors"))) == 1
    monkeypatch.chdir(tmp_path)
    run = next(Path("outputs/runs").iterdir())
    before = _artefacts()
    assert infer("analyse", "boundary", str(run))[0] == 0 and _artefacts() == before
    kept = collect(Path("outputs"), delete=False).data["folders"]
    assert not [folder for folder in kept if "/evals/" in folder]
    code, out, err = infer("analyse", "boundary", str(run), "--classes", "4,9")
    assert code == 0 and "no weights" not in err and "the classes 4 and 9" in out
    shutil.rmtree(next(Path("outputs/evals").glob("*/model.safetensors")).parent)
    assert infer("analyse", "boundary", str(run))[0] == 0  # its numbers are stored
    shutil.rmtree(next(Path("outputs/distilled").iterdir()))
    code, out, err = infer("analyse", "boundary", str(run), "--classes", "1,2")
    assert code == 2 and not out and len(err.strip().splitlines()) == 1 and "generate has not been run" in err


@pytest.mark.slow
def test_two_runs_stand_side_by_side_each_with_its_student(first, launch_in, made, infer, tmp_path):
    words = ("method=random", "ipc=4", *SMALL_TEACHERS, "evaluate.steps=40", "evaluate.repeats=1", "baselines=[]")
    finished = launch_in(first[0], *words, "device=cpu")
    assert finished.returncode == 0, finished.stderr
    others = next(path for path in Path("outputs/runs").iterdir() if path.name != made.name)
    labels = next(Path("outputs/labels").glob("digits-random-4*"))
    aside = shutil.move(labels, tmp_path / "labels")
    typed = ("analyse", "boundary", str(made), str(others), "--classes", "0,1", "--to", str(tmp_path))
    code, out, err = infer(*typed)
    assert code == 2 and not out and len(err.strip().splitlines()) == 1
    assert "relabel has not been run for digits-random-4" in err and "method=random ipc=4" in err
    shutil.move(aside, labels)
    code, out, err = infer(*typed, "--json")
    assert code == 0, err
    assert "digits-random-4-static-convnet3_w32_batchnorm-0: no weights of this student are kept" in err
    (result,) = json.loads(out)
    assert [panel["method"] for panel in result["panels"]] == ["infer", "random"]
    assert (tmp_path / "digits-infer-M2-K3-digits-random-4-boundary.png").is_file()
    shutil.rmtree(others)


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
    assert "On the classes 3 and 8, convnet3_w32_batchnorm is right on" in out and "digits-imported-imagefolder" in out
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 1


def test_a_set_that_is_named_twice_is_analysed_once(made, infer, tmp_path):
    code, out, err = infer("analyse", "similarity", str(made), made.name, str(made / "distilled"))
    assert code == 0, err
    assert out.count("The mean cosine") == 1 and out.count("similarity.png") == 1
    copy = shutil.copytree(made / "distilled", tmp_path / "copy")
    code, out, err = infer("analyse", "dominance", str(copy), str(copy), "--probe", str(made), "--to", str(tmp_path))
    assert code == 0, err
    assert out.count("dominance: ") == 1 and out.count("dominance.png") == 1


def test_figures_of_two_sets_of_one_name_do_not_replace_each_other(made, infer, tmp_path):
    sets = []
    for scale in (1, -1):
        sets.append(shutil.copytree(made / "distilled", tmp_path / f"copy{scale}"))
        tensors = load_file(sets[-1] / "compensators.safetensors")
        tensors = {name: value * scale if value.dtype == torch.int8 else value for name, value in tensors.items()}
        save_file(tensors, sets[-1] / "compensators.safetensors")
        manifest = read_json(sets[-1] / "manifest.json")
        files = listing(sets[-1].glob("*.safetensors"))
        write_sealed(sets[-1] / "manifest.json", without_seal(manifest) | {"files": files})
    to = tmp_path / "figures"
    code, out, err = infer("analyse", "dominance", *map(str, sets), "--probe", str(made), "--to", str(to))
    assert code == 0, err
    names = sorted(path.name for path in to.glob("*.png"))
    assert len(names) == 2 and all(name in out for name in names), names
    assert all(re.fullmatch(r"digits-imported-M2-K3-dominance-[0-9a-f]{8}\.png", name) for name in names)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["alikeness", "{run}"], ["'alikeness' is not an analysis", "similarity, interpolation, boundary, conflict"]),
        (["boundary", "{run}", "--classes", "3,cat"], ["no class 'cat'", "it has 0, 1, 2"]),
        (["similarity", "{run}", "--classes", "3,4"], ["--classes 3,4 applies to boundary only"]),
        (["similarity", "{run}/distilled/natural.safetensors"], ["comes without networks", "--probe RUN"]),
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
