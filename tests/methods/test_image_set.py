"""Sets of finished images, whichever method they come from: stored, labelled, trained on, and opened again."""

import pytest
import torch

import infer
from infer.errors import UsageError
from infer.methods.registry import distilled_set
from infer.pipeline import preflight
from infer.pipeline.plan import by_stage, plan_evaluations
from infer.pipeline.run import make_all
from infer.pipeline.run_folder import write_distilled_folder
from infer.store.files import load_tensors

METHODS = ["random", "herding", "kcenter", "rded"]
TWO_PER_CLASS = torch.arange(10).repeat_interleave(2)


@pytest.mark.parametrize("labeling", ["static", "hard"])
@pytest.mark.parametrize("method", METHODS)
def test_the_whole_pipeline(make_context, tmp_path, method, labeling):
    words = ("K=null", "ipc=2", "evaluate.steps=3", "evaluate.repeats=1", "baselines=[]", "teachers.min_top1=null")
    context = make_context(f"method={method}", f"labeling={labeling}", *words)
    context.run_folder = tmp_path
    (evaluation,) = plan_evaluations(context, in_sweep=False)
    plan = by_stage([evaluation])
    preflight.check(context, plan)
    make_all(context, plan, on_stage_done=lambda: None)

    assert 0 <= evaluation.outcome()["metrics"]["test/top1"]["mean"] <= 100
    folder = write_distilled_folder(context, evaluation)
    files = [load_tensors(path) for path in folder.glob("*.safetensors")]
    payload = sum(t.numel() * t.element_size() for file in files for name, t in file.items() if name != "targets")
    storage = evaluation.storage()
    assert storage["natural_bytes"] == 2 * 10 * 3 * 64 and storage["ipc_charged"] == 2
    assert storage["label_bytes"] == 2 * 10 * (10 * 2 if labeling == "static" else 2)
    assert payload == storage["total_bytes"] - (storage["label_bytes"] if labeling == "hard" else 0)

    opened, data = infer.load(tmp_path), context.data
    assert opened.manifest["method"] == method and opened.manifest["sizes"] == {"N": 20, "C": 10, "per_class": 2}
    assert torch.equal(opened.targets, TWO_PER_CLASS)
    stored = evaluation.labelled.images.images()
    assert stored.pixels.dtype == torch.uint8
    assert torch.equal(opened.images, data.normalisation.normalise(stored.pixels))
    assert len(opened[3]) == (2 if labeling == "hard" else 3)


@pytest.mark.parametrize("method", METHODS)
def test_natural_subsets_mean_nothing(make_context, method):
    with pytest.raises(UsageError, match=f"K=3 does not apply to method={method}. Type ipc="):
        distilled_set(make_context(f"method={method}"))


@pytest.mark.parametrize("method", ["random", "herding", "kcenter"])
def test_more_images_than_the_smallest_class_has(make_context, method):
    with pytest.raises(UsageError, match="ipc=200 asks for that many training images"):
        distilled_set(make_context(f"method={method}", "K=null", "ipc=200"))


@pytest.mark.parametrize("method", METHODS)
def test_a_set_is_one_block_of_all_its_images(make_context, method):
    images = distilled_set(make_context(f"method={method}", "K=null", "ipc=2"))
    (block,) = images.blocks
    data = images.context.data
    assert torch.equal(block.images(), data.normalisation.normalise(images.images().pixels))
    assert torch.equal(block.rows, torch.arange(20)) and block.parents == {"images": images}
