"""Signatures stay what they are from one version of the program to the next, and from one machine to another.

People have artefacts that took GPU days. A signature that changes by accident makes all of them again.
"""

import pytest
import torch
from helpers.artefacts import artefact_classes
from planning import PARTS, Signatures, planned

from infer.analyses.boundary import Boundary, StudentBoundary
from infer.analyses.conflict import Conflict
from infer.analyses.dominance import Dominance
from infer.analyses.interpolation import Interpolation
from infer.analyses.outputs import Outputs
from infer.analyses.similarity import Similarity
from infer.distilled.folder import write_composable, write_images, write_labels
from infer.evaluation.student import KeptStudent, Student
from infer.formats.fkd import LabelledBatch, write_batches
from infer.labels.fkd_by_teachers import TeachersFkdChunk
from infer.labels.fkd_imported import ImportedFkdChunk
from infer.labels.from_set import SetLabels
from infer.labels.static import BlockLogits, StaticLabels
from infer.methods.sets.compensators import CompensatorGroup
from infer.methods.sets.coreset import HerdingSet, KCenterSet
from infer.methods.sets.crop_scores import CropScores
from infer.methods.sets.features import Features
from infer.methods.sets.imported_composition import ImportedComposition
from infer.methods.sets.imported_images import ImportedImages
from infer.methods.sets.infer_set import InferSet
from infer.methods.sets.perturbation import DiversifiedImages
from infer.methods.sets.rded_set import RdedSet
from infer.methods.sets.real_images import RandomSet
from infer.methods.sets.recovery import RecoveredImages
from infer.methods.sets.synthesis import SynthesisedSet
from infer.stages.pictures import Pictures
from infer.store import Artefact
from infer.teachers.teacher import Teacher

PINNED_PARTS = ("teachers", "compensators", "distilled", "labels", "evals")

# Words -> the first 12 digits of the last signature of each of these parts, - where there is none.
PINNED = {
    "": "81babb8f0f47 062fde1c5711 9fd3d9fbb19e 5152d98fa214 2a6a8d3d43ae",
    "M=1 K=1": "1a25917bb463 1e5301610601 04520d050bbe 6b85d11a7da2 798e09c335ce",
    "ipc=1": "81babb8f0f47 1364d26cc637 40a1dae15af9 033b761f75f4 a539369751da",
    "seed=1": "0343dce85a6d d2c9e82553ab a09734b4ec21 86e0fdbc7ec5 99b9e69dc80f",
    "teachers.lr=0.05": "148a1d5dc4f0 28a2f977fba9 6219fbd29ce4 5bd1078f3ffe 3e44b89f87b6",
    "method.lr=0.1": "81babb8f0f47 2ab493bc9cee 612fdd7c2207 881f3f6bb605 7d71ca798f97",
    "method.compensator_dtype=float32": "81babb8f0f47 062fde1c5711 bffa3a80a0f3 55d8aafa3971 f72f4b81265b",
    "method.precision=fp64 method.group=2": "81babb8f0f47 085fa6816ac8 c4f9a1956803 2756a5ad08d5 db5b1ae4170d",
    "method.class_chunk=3": "81babb8f0f47 cbb10fd8fa0c 84f77a7500c8 af629017080a 244944734755",
    "method.class_chunk=3 method.chunk_statistics=each": (
        "81babb8f0f47 4fe18fae4a8c 11a9346b9d7c 00ba0b900b7e 0023a8a3a5db"
    ),
    "precision=bf16": "92ba9c2f2a68 ae53cf62ecc9 7b8431b94764 eced998896a1 efbdae04fc7d",
    "labeling=hard": "81babb8f0f47 062fde1c5711 9fd3d9fbb19e - 98170c9aa468",
    "labeling=dynamic": "81babb8f0f47 062fde1c5711 9fd3d9fbb19e - c7f18780838c",
    "labeling=fkd": "81babb8f0f47 062fde1c5711 9fd3d9fbb19e 7359ad96d2ac 11c83cf2ad21",
    "labeling=fkd evaluate=sre2l_imagenet": "81babb8f0f47 062fde1c5711 9fd3d9fbb19e f4f2eb9d0614 9dd75626b8bd",
    "labeling=dynamic evaluate=rded_cifar10": "81babb8f0f47 062fde1c5711 9fd3d9fbb19e - abc69d56371a",
    "labeling.teachers=[resnet8_w8]": "81babb8f0f47 062fde1c5711 9fd3d9fbb19e df903e07a8c2 41da6a4b6d12",
    "evaluate.split=val": "f312b4ed5493 9542556adee4 d19756504d89 8e19ab9e0eed 2fabc8ff48e7",
    "method=random ipc=7": "81babb8f0f47 - cfeca5287e72 8aede4a2999a 1e9992721b90",
    "method=herding ipc=7": "81babb8f0f47 - f14db39e5fc1 ef1bddfc0897 818544313121",
    "method=kcenter ipc=7": "81babb8f0f47 - 23f624f46196 35b81c51794b 99a027e8e03d",
    "method=rded ipc=7": "81babb8f0f47 - f2b8366297db 491be921da3d cbe35971eeed",
    "method=sre2l ipc=7": "81babb8f0f47 - c5103eff4da3 cd39aa2e189d 49d945ad6744",
    "method=cda ipc=7": "81babb8f0f47 - fb30cbd7bcf5 059e1dfddd6e fbb728b545d4",
    "method=dwa ipc=7": "81babb8f0f47 - d0324ed54fcb 9722e49495fe 5e4e92ecbf44",
    "baselines=[full]": "81babb8f0f47 062fde1c5711 9fd3d9fbb19e 5152d98fa214 5d32804fe1b6",
    "student.archs=[resnet8] evaluate.lr=1e-3": "81babb8f0f47 062fde1c5711 9fd3d9fbb19e 5152d98fa214 95b2c0dd52fa",
}


def _plan(resolved, *words: str) -> Signatures:
    typed = ["baselines=[]", "device=cpu", *words]
    return planned(resolved(*typed), typed)


@pytest.mark.parametrize("words", PINNED)
def test_pinned(resolved, words):
    signatures = _plan(resolved, *words.split())
    row = " ".join(signatures[part][-1][:12] if part in signatures else "-" for part in PINNED_PARTS)
    pinned = zip(PINNED_PARTS, PINNED[words].split(), row.split(), strict=True)
    changed = [part for part, old, new in pinned if old != new]
    assert not changed, (
        f"`python launch.py {words}` finds other {', '.join(changed)} than before: what people have stored would be "
        "made again. Was that intended? If not, undo the change. If the same settings now give other content, raise "
        f"`version` of the artefact; then, or if a default was changed on purpose, update the table:\n"
        f'    "{words}": "{row}",'
    )


def test_the_machine_does_not_matter(resolved, tmp_path, monkeypatch):
    """Neither paths nor threads nor who runs it; the data count by their contents."""
    here = _plan(resolved)
    monkeypatch.chdir(tmp_path)
    for variable in ("HOME", "INFER_DATA", "USER"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setattr("infer.pipeline.prepare._in_memory", {})  # the data are read again
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert _plan(resolved, "outputs=elsewhere") == here
    finally:
        torch.set_num_threads(threads)


_DEPENDENTS: dict[type[Artefact], set[str]] = {
    Teacher: set(PARTS),
    CompensatorGroup: {"compensators", "distilled", "logits/composed", "labels", "evals"},
    InferSet: {"distilled", "labels", "evals"},
    BlockLogits: {"logits/natural", "logits/composed", "labels", "evals"},
    StaticLabels: {"labels", "evals"},
    Student: {"evals"},
}


@pytest.mark.parametrize("artefact", _DEPENDENTS)
def test_a_raised_version_changes_the_artefact_and_what_is_made_from_it(resolved, monkeypatch, artefact):
    before = _plan(resolved)
    monkeypatch.setattr(artefact, "version", artefact.version + 1)
    after = _plan(resolved)
    assert {part for part in PARTS if before[part] != after[part]} == _DEPENDENTS[artefact]
    assert all(set(before[part]).isdisjoint(after[part]) for part in _DEPENDENTS[artefact])


_OF_OTHER_METHODS: dict[type[Artefact], tuple[str, set[str]]] = {
    RandomSet: ("random", {"teachers"}),
    Features: ("herding", {"teachers"}),
    HerdingSet: ("herding", {"teachers", "features"}),
    KCenterSet: ("kcenter", {"teachers", "features"}),
    CropScores: ("rded", {"teachers"}),
    RdedSet: ("rded", {"teachers", "crops"}),
    RecoveredImages: ("sre2l", {"teachers"}),
    SynthesisedSet: ("cda", {"teachers", "syntheses", "logits/natural"}),
    DiversifiedImages: ("dwa", {"teachers"}),
}
"""Artefact -> a method that makes it, and what is not made from it."""


@pytest.mark.parametrize("artefact", _OF_OTHER_METHODS)
def test_a_raised_version_in_another_method(resolved, monkeypatch, artefact):
    method, untouched = _OF_OTHER_METHODS[artefact]
    before = _plan(resolved, f"method={method}")
    monkeypatch.setattr(artefact, "version", artefact.version + 1)
    after = _plan(resolved, f"method={method}")
    assert {part for part in before if before[part] != after[part]} == set(before) - untouched


def test_a_raised_version_of_stored_dynamic_labels(resolved, monkeypatch):
    before = _plan(resolved, "labeling=fkd")
    monkeypatch.setattr(TeachersFkdChunk, "version", TeachersFkdChunk.version + 1)
    after = _plan(resolved, "labeling=fkd")
    assert {part for part in before if before[part] != after[part]} == {"labels", "evals"}


@pytest.mark.parametrize("artefact", [ImportedImages, ImportedComposition])
def test_a_raised_version_of_imported_sets(resolved, monkeypatch, tmp_path, artefact):
    dataset = {"classes": [str(digit) for digit in range(10)], "mean": [0.5] * 3, "std": [0.5] * 3}
    pixels, manifest = torch.zeros(10, 3, 8, 8, dtype=torch.uint8), {"dataset": dataset}
    if artefact is ImportedImages:
        write_images(tmp_path, pixels, torch.arange(10), manifest)
    else:
        write_composable(tmp_path, pixels[None], torch.zeros(1, 1, 3, 8, 8), "int8", manifest)
    words = ("method=imported", f"method.path={tmp_path}")
    before = _plan(resolved, *words)
    monkeypatch.setattr(artefact, "version", artefact.version + 1)
    after = _plan(resolved, *words)
    assert {part for part in before if before[part] != after[part]} == set(before) - {"teachers"}


@pytest.mark.parametrize("artefact", [ImportedFkdChunk, SetLabels])
def test_a_raised_version_of_labels_made_elsewhere(resolved, monkeypatch, tmp_path, artefact):
    dataset = {"classes": [str(digit) for digit in range(10)], "mean": [0.5] * 3, "std": [0.5] * 3}
    write_labels(tmp_path, torch.eye(10))
    write_images(tmp_path, torch.zeros(10, 3, 8, 8, dtype=torch.uint8), torch.arange(10), {"dataset": dataset})
    whole = torch.tensor([[0.0, 0.0, 1.0, 1.0]] * 10)
    batch = LabelledBatch(whole, torch.zeros(10) > 0, None, None, None, torch.eye(10), torch.arange(10))
    write_batches(tmp_path / "fkd", [[batch]])
    if artefact is SetLabels:
        labeling = ("labeling=static", "labeling.source=set")
    else:
        made_of = ("labeling.epochs_stored=1", "evaluate.batch_size=10", "evaluate.mix=none")
        labeling = ("labeling=fkd", f"labeling.path={tmp_path / 'fkd'}", *made_of)
    words = ("method=imported", f"method.path={tmp_path}", *labeling)
    before = _plan(resolved, *words)
    monkeypatch.setattr(artefact, "version", artefact.version + 1)
    after = _plan(resolved, *words)
    assert "teachers" not in before
    assert {part for part in before if before[part] != after[part]} == {"labels", "evals"}


def test_a_raised_version_of_a_student_whose_weights_are_kept(resolved, monkeypatch):
    before = _plan(resolved, "analyses=[boundary]")
    monkeypatch.setattr(KeptStudent, "version", KeptStudent.version + 1)
    after = _plan(resolved, "analyses=[boundary]")
    assert before.pop("evals")[1:] == after.pop("evals")[1:] and before == after
    assert _plan(resolved) == {**before, "evals": _plan(resolved)["evals"]}


def test_every_artefact_is_tried():
    # of whatever the others have given, and parent of nothing that a score rests on
    made_after_all = {Pictures, Outputs, Similarity, Interpolation, Boundary, StudentBoundary, Conflict, Dominance}
    imported = {ImportedImages, ImportedComposition}
    labels = {TeachersFkdChunk, ImportedFkdChunk, SetLabels}
    assert artefact_classes() == {*_DEPENDENTS, KeptStudent, *_OF_OTHER_METHODS, *imported, *labels, *made_after_all}
