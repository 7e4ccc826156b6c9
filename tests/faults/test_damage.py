"""Faults of a store that are not kills: what is damaged is named, set aside and made again, and never used."""

import functools
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.artefacts import artefact_classes
from helpers.sampling import one_in

from infer.analyses.dominance import Dominance
from infer.config import Stage
from infer.console import Console
from infer.context import Context
from infer.pipeline.plan import by_stage, plan_evaluations
from infer.pipeline.prepare import prepare
from infer.pipeline.result import RunResult
from infer.pipeline.run import make_all
from infer.stages.pictures import Pictures
from infer.teachers import network

WORDS = (
    "teachers.archs=[convnet3_w32_batchnorm,resnet8_w8]",
    "teachers.epochs=4",
    "teachers.min_top1=null",
    "evaluate.steps=3",
    "evaluate.repeats=1",
    "baselines=[]",
    "device=cpu",
)
OF_METHOD = {
    "infer": ("method.iterations=3", "method.group=2", "K=3"),
    "sre2l": ("method.iterations=3", "ipc=1"),
    "herding": ("ipc=1",),
    "rded": ("ipc=1", "method.images_per_class=5"),
}
KINDS = {
    "teachers": "infer",
    "compensators": "infer",
    "distilled": "infer",
    "labels": "infer",
    "evals": "infer",
    "reports": "infer",
    "analyses": "infer",
    "syntheses": "sre2l",
    "features": "herding",
    "crops": "rded",
}
"""Every kind of artefact, with a method that makes it."""
WITH_FILES = [kind for kind in KINDS if kind != "analyses"]
"""Kinds that have more than a record."""
RECORD = "record.json"


@pytest.fixture(scope="module")
def run(resolved) -> Callable[..., Context]:
    """Makes everything that is not in the store yet, in this process."""
    configs = {method: resolved(f"method={method}", *WORDS, *words) for method, words in OF_METHOD.items()}

    def run(outputs: Path, method: str = "infer", **changes: Any) -> Context:
        context = prepare(replace(configs[method], outputs=str(outputs), **changes), outputs, Console(), [])
        evaluations = plan_evaluations(context, in_sweep=False)
        RunResult(context.run_folder, context.config, {}).add_plan(evaluations, by_stage(evaluations))
        make_all(context, by_stage(evaluations), on_stage_done=lambda: None)
        context.obtain(Pictures(context, evaluations))
        if method == "infer":
            context.obtain(Dominance(evaluations[0].labelled.images))
        return context

    return run


@pytest.fixture(scope="module")
def whole(run, tmp_path_factory) -> Callable[[str], Path]:
    """The store of a method's run, in which nothing is damaged."""

    @functools.cache
    def whole(method: str) -> Path:
        outputs = tmp_path_factory.mktemp(method)
        run(outputs, method)
        return outputs

    return whole


@pytest.fixture
def outputs(whole, tmp_path, kind) -> Path:
    """A copy to damage, which has artefacts of ``kind``."""
    return shutil.copytree(whole(KINDS[kind]), tmp_path / "outputs")


def checksums(outputs: Path) -> dict[str, dict]:
    """The files of every artefact, as its record lists them."""
    return {path.parent.name: json.loads(path.read_text())["files"] for path in outputs.glob(f"*/*/{RECORD}")}


def payload(folder: Path) -> Path:
    """The largest file of an artefact."""
    return max((path for path in folder.iterdir() if path.name != RECORD), key=lambda path: path.stat().st_size)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path, at: bytes = b"") -> None:
    """Change one bit of the byte before the end of ``at``, or of the byte in the middle."""
    content = bytearray(path.read_bytes())
    position = content.index(at) + len(at) if at else len(content) // 2
    content[position] ^= 1
    path.write_bytes(content)


def become_another(folder: Path) -> None:
    """Hold what belongs to another artefact of the same kind, or to one of another kind where there is none."""
    siblings = [path for path in folder.parent.iterdir() if path not in (folder, folder.parent / ".set-aside")]
    other = siblings[0] if siblings else next(path for path in folder.parents[1].glob("teachers/*"))
    shutil.rmtree(folder)
    shutil.copytree(other, folder)


FAULTS = {
    "is not what was written": lambda folder: flip(payload(folder)),
    "not what was written": lambda folder: truncate(payload(folder)),
    "is missing": lambda folder: payload(folder).unlink(),
    "record.json does not hold a record": lambda folder: truncate(folder / RECORD),
    "record.json is not what was written": lambda folder: flip(folder / RECORD, b'"facts": {\n  "'),
    "record.json is missing": lambda folder: (folder / RECORD).unlink(),
    "record.json carries another signature": become_another,
}


def test_no_kind_is_left_out():
    assert {artefact.kind for artefact in artefact_classes()} == KINDS.keys()


@pytest.mark.parametrize(
    ("kind", "words"),
    one_in(4, [(kind, words) for kind in KINDS for words in FAULTS if kind in WITH_FILES or words.startswith(RECORD)]),
)
def test_a_damaged_artefact_is_made_again(run, whole, outputs, caplog, words, kind):
    folder = sorted((outputs / kind).iterdir())[0]
    FAULTS[words](folder)
    damaged = {path.name: path.read_bytes() for path in folder.iterdir()}
    context = run(outputs, KINDS[kind])
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert str(folder) in warning and words in warning and "made again" in warning
    assert checksums(outputs) == checksums(whole(KINDS[kind]))
    assert sum(account.made for account in context.account.values()) == 1
    (aside,) = (outputs / kind / ".set-aside").iterdir()
    assert {path.name: path.read_bytes() for path in aside.iterdir()} == damaged


@pytest.mark.parametrize("kind", one_in(3, WITH_FILES))
def test_what_an_interrupted_maker_left_is_not_used_although_it_looks_finished(run, whole, outputs, kind):
    """Its own record beside other files, and things that no maker writes."""
    folder = sorted((outputs / kind).iterdir())[0]
    making = folder.rename(folder.with_name(f".making-{folder.name}"))
    flip(payload(making))
    (making / ".record.json.abc").write_text("{")
    (making / "inner" / "folder").mkdir(parents=True)
    run(outputs, KINDS[kind])
    assert checksums(outputs) == checksums(whole(KINDS[kind]))
    assert {path.name for path in folder.iterdir()} == {RECORD, *checksums(outputs)[folder.name]}


CHECKPOINT_FAULTS = {
    "none": lambda scratch: None,
    "tensors truncated": lambda scratch: truncate(next(scratch.glob("*.safetensors"))),
    "tensors flipped": lambda scratch: flip(next(scratch.glob("*.safetensors"))),
    "tensors missing": lambda scratch: next(scratch.glob("*.safetensors")).unlink(),
    "description truncated": lambda scratch: truncate(scratch / "checkpoint.json"),
    "of another training": lambda scratch: flip(scratch / "checkpoint.json", b'"key": "'),
}


@pytest.mark.parametrize("fault", one_in(3, CHECKPOINT_FAULTS))
def test_a_damaged_checkpoint_is_not_used(run, whole, tmp_path, monkeypatch, caplog, fault):
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(network, "fit", _interrupted_after_two_epochs)
        run(tmp_path, checkpoint_minutes=1e-9)
    (scratch,) = tmp_path.glob("teachers/.making-*/scratch")
    CHECKPOINT_FAULTS[fault](scratch)
    epochs = []
    with monkeypatch.context() as patched:
        patched.setattr(network, "fit", lambda *words, on_epoch, **more: fit(*words, on_epoch=epochs.append, **more))
        context = run(tmp_path)
    assert checksums(tmp_path) == checksums(whole("infer"))
    assert context.account[Stage.squeeze].made == 2
    assert epochs[0]["epoch"] == (3 if fault == "none" else 1)
    assert ("cannot be used" in caplog.text) == (fault != "none")


fit = network.fit


def _interrupted_after_two_epochs(*words, on_epoch, **more):
    def stop(row):
        if row["epoch"] == 2:
            raise KeyboardInterrupt

    return fit(*words, on_epoch=stop, **more)
