"""Outputs of a network on a sample of images: computed once, stored, and shared by all analyses."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from infer.analyses.sample import Sample
from infer.config import Stage
from infer.context import Context
from infer.methods.sets.features import head_of
from infer.store import Artefact, Sharing, Workspace
from infer.store.files import load_tensors, save_tensors
from infer.teachers.network import TrainedNetwork
from infer.training.images import LabelledImages
from infer.training.scoring import predict_logits

_OUTPUTS = "outputs.safetensors"
NO_FEATURES = "or do without the analyses that look at networks"
"""Advice in the error for a network whose penultimate features cannot be found."""


class Outputs(Artefact):
    """Penultimate features [n, D] and logits [n, C], float32, of ``probe`` in eval mode on un-augmented images."""

    kind = "features"
    stage = Stage.report
    sharing = Sharing.together

    def __init__(self, context: Context, probe: TrainedNetwork, sample: Sample) -> None:
        self._context = context
        self.probe = probe
        self.sample = sample

    @property
    def name(self) -> str:
        return f"{self.sample.name}-by-{self.probe.arch}"

    @property
    def settings(self) -> Mapping[str, Any]:
        return self.sample.settings

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return {self.probe.role: self.probe, **self.sample.parents}

    def make(self, workspace: Workspace) -> dict[str, Any]:
        images, targets = self.sample.read()
        seen = self.probe.as_seen(LabelledImages(images.pixels, images.normalisation, targets))
        num_classes = self._context.data.num_classes
        network = _FeaturesAndLogits(self.probe, self._context.data.image_size).eval()
        both = predict_logits(network, seen, device=self._context.device)
        tensors = {"rows": self.sample.rows(), "targets": targets}
        tensors |= {"features": both[:, :-num_classes], "logits": both[:, -num_classes:]}
        save_tensors(workspace.folder / _OUTPUTS, tensors)
        return {"images": len(targets)}

    @cached_property
    def _stored(self) -> dict[str, Tensor]:
        return load_tensors(self._context.folder(self) / _OUTPUTS)

    @property
    def rows(self) -> Tensor:
        """Positions of the images in their set: int64 [n]."""
        return self._stored["rows"]

    @property
    def targets(self) -> Tensor:
        """Classes of the images: int64 [n]."""
        return self._stored["targets"]

    @property
    def features(self) -> Tensor:
        """Inputs of the last linear layer: float32 [n, D]."""
        return self._stored["features"]

    @property
    def logits(self) -> Tensor:
        """Logits: float32 [n, C]."""
        return self._stored["logits"]


class _FeaturesAndLogits(nn.Module):
    """Network that returns the penultimate features and the logits of ``probe``, concatenated: [B, D + C].

    It takes pixels with the normalisation of the probe. Raises UsageError as ``head_of`` does.
    """

    def __init__(self, probe: TrainedNetwork, image_size: int) -> None:
        super().__init__()
        network = probe.network(probe.normalisation)
        self._network = network
        self._head = network.get_submodule(head_of(network, probe.arch, image_size, NO_FEATURES, probe.role))

    def forward(self, pixels: Tensor) -> Tensor:
        """Features and logits of ``pixels`` [B, 3, H, W]."""
        features: list[Tensor] = []
        hook = self._head.register_forward_pre_hook(lambda _module, inputs: features.append(inputs[0]))
        try:
            logits = self._network(pixels)
        finally:
            hook.remove()
        return torch.cat([features[-1].flatten(1), logits], dim=1)
