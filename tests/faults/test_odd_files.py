"""Odd files in trees of images: data sets and imports pass the same ones over, and refuse the same ones in a line."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import infer.data
from infer.commands.main import run
from infer.config.dataset import FolderConfig
from infer.data.decode import read_size
from infer.data.listing import list_tree
from infer.errors import UsageError
from infer.formats.catalogue import find_format

NFC, NFD = "caf\u00e9", "cafe\u0301"
_PATIENCE_S = 5


def _image(file: Path, seed: int = 0) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(file)


def _read_data_set(root: Path) -> tuple[int, list[str]]:
    data = infer.data.load(FolderConfig(root=str(root)), root.parent / "cache", threads=2)
    return len(data.train.targets), data.notes


def _read_import(root: Path) -> tuple[int, list[str]]:
    found = find_format(root)[1].read(root, None)
    return len(found), list(found.notes)


@pytest.fixture(params=["data set", "sre2l", "imagefolder"])
def tree(request, tmp_path: Path) -> tuple[Path, Callable[[], tuple[int, list[str]]]]:
    """A class folder of two images of a small tree, and the function that reads four images of the tree."""
    root = tmp_path / "tree"
    names = ("new000", "new001") if request.param == "sre2l" else ("ant", "bee")
    splits = ("train/", "test/") if request.param == "data set" else ("",)
    for seed, file in enumerate(f"{split}{name}/{i}.png" for split in splits for name in names for i in (0, 1)):
        _image(root / file, seed)
    read = _read_data_set if request.param == "data set" else _read_import
    return root / splits[0] / names[0], lambda: read(root)


@pytest.fixture
def pipe() -> Iterator[Callable[[Path], None]]:
    """Makes a named pipe, at whose other end somebody hangs up in the end, so that no test waits for ever."""
    timers = []

    def hang_up(path: Path) -> None:
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            return  # nobody reads

    def make(path: Path) -> None:
        os.mkfifo(path)
        timers.append(threading.Timer(_PATIENCE_S, hang_up, (path,)))
        timers[-1].start()

    yield make
    for timer in timers:
        timer.cancel()


def _refusal(read: Callable[[], object]) -> str:
    with pytest.raises(UsageError) as refused:
        read()
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("name", ["._0.jpg", ".ipynb_checkpoints/0.png", "../.ipynb_checkpoints/0.png", "Thumbs.db"])
def test_what_is_no_image_is_passed_over(tree, name):
    folder, read = tree
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"no image")
    count, notes = read()
    assert count == 4
    assert ("1 .db" in " ".join(notes)) is (name == "Thumbs.db")


def test_a_pipe_is_not_waited_for(tree, pipe):
    folder, read = tree
    pipe(folder / "x.jpg")
    assert "x.jpg is a pipe" in _refusal(read)


def test_a_file_that_became_a_pipe_is_not_waited_for(tree, pipe, monkeypatch):
    folder, read = tree
    status = os.stat(folder / "0.png")
    (folder / "0.png").unlink()
    pipe(folder / "0.png")
    monkeypatch.setattr("infer.data.walk.status_of", lambda entry: status)
    monkeypatch.setattr("infer.data.listing.status_of", lambda entry: status)
    assert "0.png cannot be read as an image" in _refusal(read)


def test_no_program_is_started_for_an_image(tree, monkeypatch):
    """Pillow gives EPS, whatever its ending, to Ghostscript, which runs it."""
    started = []
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *given, **named: started.append(given))
    folder, read = tree
    (folder / "x.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n")
    for fails in (read, lambda: read_size(folder / "x.jpg")):
        assert "x.jpg cannot be read as an image (it is none of AVIF, BMP" in _refusal(fails)
    assert not started


@pytest.mark.parametrize("kind", ["device", "socket"])
def test_what_is_no_file_is_not_opened(tree, kind):
    folder, read = tree
    if kind == "device":
        (folder / "x.png").symlink_to("/dev/null")
    else:
        here = os.getcwd()
        os.chdir(folder)  # names of sockets are short
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("x.png")
        os.chdir(here)
    assert "x.png is a pipe, a device or a socket" in _refusal(read)


@pytest.mark.parametrize("name", ["x.jpg", "loop"])
@pytest.mark.parametrize("to", ["itself", "nowhere", ".", ".."])
def test_links_in_a_circle_and_to_nowhere(tree, name, to):
    folder, read = tree
    (folder / name).symlink_to(name if to == "itself" else to)
    if (name, to) == ("loop", "nowhere"):
        assert read()[0] == 4  # as any other file that is not an image's by its ending
    else:
        assert str(folder / name) in _refusal(read)


def test_a_link_to_another_folder_is_followed(tree, tmp_path):
    folder, read = tree
    _image(tmp_path / "elsewhere" / "2.png")
    (folder / "more").symlink_to(tmp_path / "elsewhere")
    assert read()[0] == 5


@pytest.mark.parametrize("which", [".", "below"])
def test_a_folder_that_cannot_be_read(tree, monkeypatch, which):
    folder, read = tree
    (folder / "below").mkdir()
    scan = os.scandir

    def failing(path):
        if Path(path) == folder / which:
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", failing)
    assert "cannot be read (Permission denied)" in _refusal(read)


@pytest.mark.parametrize("name", [b"a\xff", b" ", b"\xe3\x80\x80"], ids=["not UTF-8", "space", "wide space"])
def test_names_that_no_class_has(tree, name):
    folder, read = tree
    folder.rename(folder.parent / os.fsdecode(name))
    assert "is called '" in _refusal(read)


def test_names_of_one_class_in_two_unicode_forms(tree):
    folder, read = tree
    for name in (NFC, NFD):
        _image(folder.parent / name / "0.png")
    assert "Unicode form only (NFC and NFD)" in _refusal(read)


def test_splits_that_differ_in_unicode_form_say_so(tmp_path):
    _image(tmp_path / "train" / NFC / "0.png")
    _image(tmp_path / "test" / NFD / "0.png")
    assert "Unicode form only (NFC and NFD)" in _refusal(lambda: list_tree(tmp_path))


def test_two_folders_of_one_numbered_class(tmp_path):
    for name in ("new000", "new0000"):
        _image(tmp_path / name / "class000_id000.png")
    assert "new000 and new0000 are both the folder of class 0" in _refusal(lambda: _read_import(tmp_path))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("x.json", b"["),
        ("x.json", b"[" * 100_000),
        ("x.json", b'["ant", "ant"]'),
        ("x.txt", b"\xff\xfe"),
        ("x.txt", b"ant\nant"),
        ("x.txt", f"{NFC}\n{NFD}".encode()),
        ("x.txt", b"ant\n" + b"b" * 300),
        ("x.txt", None),
    ],
    ids=["damaged", "deep", "doubled", "not UTF-8", "doubled lines", "forms", "long", "pipe"],
)
def test_names_of_classes_in_a_file(tree, tmp_path, pipe, capsys, file, content):
    if content is None:
        pipe(tmp_path / file)
    else:
        (tmp_path / file).write_bytes(content)
    words = ["--mean", "0.5", "0.5", "0.5", "--std", "0.5", "0.5", "0.5", "--to", str(tmp_path / "to")]
    assert run(["import", str(tree[0].parent), "--classes", str(tmp_path / file), *words]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and file in told and not (tmp_path / "to").exists()


@pytest.mark.parametrize("words", ["import {} --to x", "evaluate {}", "ls --outputs {}", "show {}", "verify {}"])
def test_a_path_that_is_too_long(tmp_path, monkeypatch, capsys, words):
    (tmp_path / "outputs").mkdir()
    monkeypatch.chdir(tmp_path)
    assert run(words.format("a" * 300).split()) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "too long" in told and len(told) < 200


def test_a_line_stays_one_whatever_a_file_is_called(tmp_path, capsys):
    _image(tmp_path / "a\nb" / "0.png")
    (tmp_path / "a\nb" / "0.png").write_bytes(b"")
    assert run(["import", str(tmp_path), "--to", str(tmp_path / "to")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


_PLACES = ("a file", "below a file", "proc", "below proc", "a long name", "a long path")


@pytest.mark.parametrize("place", ["file", "file/below", "/proc", "/proc/below", "a" * 300, "a/" * 2000], ids=_PLACES)
def test_outputs_where_nothing_can_be_written(launch_in, tmp_path, place):
    (tmp_path / "file").touch()
    finished = launch_in(tmp_path, f"outputs={place}")
    assert finished.returncode == 2 and finished.stderr.count("\n") == 1, finished.stderr
    assert finished.stderr.startswith("infer: outputs=") and "outputs=FOLDER" in finished.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_outputs_of_a_sweep_where_nothing_can_be_written(launch_in, tmp_path):
    (tmp_path / "file").touch()
    finished = launch_in(tmp_path, "-m", "outputs=file", "M=1,2")
    assert finished.returncode == 2 and finished.stderr.count("\n") == 1, finished.stderr


def test_outputs_that_may_only_be_read(tmp_path, monkeypatch):
    from infer.files import require_writable

    def refuse(**_: object) -> None:
        raise OSError(30, "Read-only file system")

    require_writable(tmp_path, "outputs")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr("infer.files.tempfile.TemporaryFile", refuse)
    assert "cannot be written to (Read-only file system)" in _refusal(lambda: require_writable(tmp_path, "outputs"))
