"""Data-set card of ``infer export --format hf``: a YAML header for the Hub, and text from the run's record."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infer.config.labeling import LabelMode
from infer.records.run import Run
from infer.records.sections import scores_section, storage_section
from infer.records.settings import has_effect, settings_of, typed_words
from infer.tables import Report, Section, as_markdown, shown
from infer.words import launch_command, shell_line

_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))
"""The Hub's names of ranges of the number of examples, by their upper bound."""
_MAKING = ("M", "K", "ipc", "seed", "method", "labeling")
_PROTOCOL = ("student", "evaluate")
"""Settings and groups that a card shows: of the making of the set, and of its evaluation."""
_PLACEHOLDER = "NAME/DATASET"
"""Placeholder for the name that the user chooses for the data set on the Hub."""


@dataclass(frozen=True)
class Contents:
    """Contents of a folder for Hugging Face's ``datasets``, for its card."""

    manifest: Mapping[str, Any]
    """The manifest of the set in the package's own format."""
    num_images: int
    image_size: int
    """Height and width in pixels."""
    soft_labels: str | None
    """Name of the column of soft labels; None where there is none."""
    are_composed: bool
    """True if the images are composed of parts that take less space."""
    parquet_bytes: int
    notes: Sequence[str]
    """Sentences on what the Parquet files lose."""

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.manifest["dataset"]["classes"])

    @property
    def data(self) -> str:
        """Name of the data set."""
        return self.manifest["dataset"]["name"] or "an unnamed data set"

    @property
    def title(self) -> str:
        """Title of the card."""
        charged = f"{self.manifest['ipc_charged']:.4g} images per class"
        return f"{self.data} distilled by {self.manifest['method']}, {charged}"


def card(contents: Contents, run: Run | None) -> str:
    """The text of ``README.md``. Without ``run`` it has no scores and settings."""
    parts = [_header(contents), f"# {contents.title}", _about(contents), _columns(contents)]
    parts += [_made(run), _scores(run), _cost(contents, run)] if run else ["No record of its run was there."]
    parts += [_losses(contents), _training(contents, run), _exact(contents), _again(contents, run)]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _header(contents: Contents) -> str:
    size = next((word for end, word in _SIZES if contents.num_images < end), "10M<n<100M")
    return f"""---
# license: yours to choose (for example mit); the images come from {contents.data}, whose terms apply to them
pretty_name: {json.dumps(contents.title)}
task_categories:
- image-classification
size_categories:
- {size}
tags:
- dataset-distillation
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*.parquet
---"""


def _about(contents: Contents) -> str:
    size = contents.image_size
    return (
        f"{contents.num_images:,} images of {size}x{size} pixels in {contents.classes} classes, distilled from the "
        f"training images of {contents.data}: a network is trained on them alone, and tested on the real test images."
    )


def _columns(contents: Contents) -> str:
    rows = [["`image`", "PNG or JPEG, three channels"], ["`label`", "the class, with its name"]]
    if contents.soft_labels:
        values = "probabilities" if contents.soft_labels != "logits" else "logits, before any softmax"
        rows.append([f"`{contents.soft_labels}`", f"float32 [{contents.classes}], the teachers' {values}"])
    return "\n".join(["| column | holds |", "| --- | --- |", *(f"| {name} | {text} |" for name, text in rows)])


def _made(run: Run) -> str:
    environment = run.record["environment"]
    versions = environment.get("versions", {})
    program = f"infer-distillation {versions.get('infer-distillation')}, torch {versions.get('torch')}"
    commit = environment.get("git_commit")
    teachers = [
        f"{key.split('/')[1]} {summary['mean']:.2f} %"
        for key, summary in run.record["metrics"].items()
        if key.startswith("teacher/")
    ]
    return "\n\n".join(
        [
            f"## How it was made\n\n```bash\n{_command(run)}\n```",
            f"With {program}{f', commit {commit[:10]}' if commit else ''}.",
            *([f"Teachers, with their test top-1: {', '.join(teachers)}."] if teachers else []),
            _settings(run, _MAKING),
        ]
    )


def _command(run: Run) -> str:
    """The command of the run, without words that do not affect its result and with a placeholder for the data."""
    words = [(word, word.lstrip("+").partition("=")[0]) for word in typed_words(run)]
    kept = ["dataset.root=FOLDER" if key == "dataset.root" else word for word, key in words if _is_told(key)]
    return launch_command(kept).strip()


def _is_told(key: str) -> bool:
    return key == "dataset.root" or (has_effect(key) and key not in ("stages", "user"))


def _settings(run: Run, groups: Sequence[str]) -> str:
    values = settings_of(run).values.items()
    rows = [[key, shown(value)] for key, value in values if key.split(".")[0] in groups and value not in (None, {}, [])]
    return _table(Section(("setting", "value"), rows))


def _scores(run: Run) -> str:
    scores = scores_section(run)
    if not any(run.record["per_student"].values()):
        return "## Scores\n\nNo students were trained on it in the run that made it."
    split = "the test images" if run.split == "test" else "held-out training images (`evaluate.split=val`)"
    told = (
        f"Protocol `{run.protocol}`, scored on {split}; mean ± standard deviation (n) over students. "
        "Numbers of different protocols cannot be compared, and a star means that settings differ from the protocol's. "
        "Sets called random are real images of as many bytes, and full is all training images."
    )
    details = f"<details><summary>Settings of the protocol</summary>\n\n{_settings(run, _PROTOCOL)}\n\n</details>"
    return "\n\n".join(["## Scores", told, _table(scores), details])


def _cost(contents: Contents, run: Run) -> str:
    told = (
        f"The set itself takes {run.record['storage']['total_bytes']:,} bytes, labels included; the Parquet file takes "
        f"{contents.parquet_bytes:,}."
    )
    return "\n\n".join(["## Bytes", told, _table(storage_section(run))])


def _losses(contents: Contents) -> str:
    composed = [
        "the images are composed as a student sees them, from natural images and compensators that are shared between "
        "classes; `distilled/` holds these parts, and only they are charged"
    ]
    kept = ["`distilled/` holds the set's own files, which lose nothing; `load_dataset` does not read them"]
    lines = [*(composed if contents.are_composed else []), *contents.notes, *kept]
    return "\n".join(["## What the Parquet file holds, and what it loses\n", *(f"- {line}" for line in lines)])


def _training(contents: Contents, run: Run | None) -> str:
    """Section with a training loop in plain torch."""
    column = contents.soft_labels
    temperature = run.setting("evaluate.temperature") if run and column == "logits" else None
    divided = f" / {temperature:g}" if temperature not in (None, 1) else ""
    target = {"logits": f"F.softmax(targets{divided}, dim=1)"}.get(column or "", "targets")
    mean, std = ([round(value, 6) for value in contents.manifest["dataset"][key]] for key in ("mean", "std"))
    return f"""## How to train on it

```python
import torch
import torch.nn.functional as F
from datasets import load_dataset
from torchvision.models import resnet18

data = load_dataset("{_PLACEHOLDER}", split="train").with_format("torch")  # or the path of this folder
mean, std = (torch.tensor(values).view(3, 1, 1) for values in ({mean}, {std}))
network = resnet18(num_classes={contents.classes})
optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
for batch in torch.utils.data.DataLoader(data, batch_size=64, shuffle=True):  # one epoch; many are needed
    images, targets = (batch["image"] / 255 - mean) / std, batch["{column or "label"}"]
    loss = F.cross_entropy(network(images){divided}, {target})
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
```{_labels_that_are_not_here(contents)}"""


def _labels_that_are_not_here(contents: Contents) -> str:
    mode = contents.manifest.get("labels", {}).get("mode")
    if mode == LabelMode.dynamic.value:
        return "\n\nThe scores are of students whose teachers label every augmented batch: such labels are in no file."
    if mode == LabelMode.fkd.value:
        return (
            "\n\nIts labels belong to batches, not to images: `distilled/` has them, and `infer evaluate` reads them."
        )
    return ""


def _exact(contents: Contents) -> str:
    bytes_too = "exact, as the students of the table saw it" if contents.are_composed else "the same bytes, normalised"
    return f"""The same with the program that made it:

```python
import infer
from huggingface_hub import snapshot_download

distilled = infer.load(snapshot_download("{_PLACEHOLDER}", repo_type="dataset"))  # or infer.load of this folder
image, target, *logits = distilled[0]  # float32 [3, {contents.image_size}, {contents.image_size}], {bytes_too}
```"""


def _again(contents: Contents, run: Run | None) -> str:
    """Text with the command that trains students with the run's protocol; empty where there is none."""
    if run is None or contents.manifest["dataset"]["name"] is None:
        return ""
    mode = run.setting("labeling.mode")
    stored = contents.soft_labels is not None or mode == LabelMode.fkd.value
    groups = ["dataset", *_PROTOCOL, *(["teachers"] if mode == LabelMode.dynamic.value else [])]
    options = {group: run.record["choices"].get(group) for group in groups}
    words = [f"{group}={option}" for group, option in options.items() if option]
    words += [f"labeling={mode}", *(["labeling.source=set"] if stored else [])]
    kept = tuple(f"{group}." for group in groups if group != "dataset")
    words += [word for word in typed_words(run) if word.startswith((*kept, "seed=", "M="))]
    command = f"infer evaluate FOLDER {shell_line(words)}"
    return f"Students as in the table, trained again on the files in `distilled/`:\n\n```bash\n{command}\n```"


def _table(section: Section) -> str:
    return as_markdown(Report(None, sections=[section])).strip()
