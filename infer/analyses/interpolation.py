"""Interpolation: comparison of the logits of mixed images with mixed logits, on a set and on real images.

Static labels are mixed like the images: a student that sees w x_i + (1 - w) x_j learns w z(x_i) + (1 - w) z(x_j),
where z is the mean of the teachers' logits on the un-mixed images. Over random pairs, for every weight w:

    R2 = 1 - sum |z(mixed) - mixed z|^2 / sum |z(mixed) - mean z(mixed)|^2     (sums over pairs and classes)
    KL = mean over pairs of KL(softmax z(mixed) || softmax mixed z), in nats, at temperature 1.

If labels interpolate exactly, R2 = 1 and KL = 0; if the mean over pairs would be a better label, R2 < 0. The comparison
on distilled images is from INFER (ICLR 2025), whose static labels are based on it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax

from infer.analyses.base import NetworkAnalysis
from infer.analyses.numbers import plain
from infer.analyses.outputs import Outputs
from infer.analyses.sample import network_inputs, real_beside, sample_of
from infer.config import AnalysisName
from infer.methods.sets.base import DistilledArtefact
from infer.seeds import generator
from infer.store import Artefact
from infer.teachers.teacher import Teacher
from infer.training.images import Images
from infer.training.scoring import predict_logits

PAIRS = 500
WEIGHTS = (0.1, 0.2, 0.3, 0.4, 0.5)
"""Weights of the first image; weights above 0.5 would only exchange the two images."""
ENSEMBLE = "mean of logits"
"""Name of the entry for the mean of several networks' logits, which static labels store."""


class Interpolation(NetworkAnalysis):
    """R2 and KL on a set and on real images, by probe and for the mean of the probes' logits."""

    title = AnalysisName.interpolation

    def __init__(self, images: DistilledArtefact, probes: Sequence[Teacher]) -> None:
        super().__init__(images, probes)
        self._of_set = self.outputs_on(sample_of(images))
        self._of_real = self.outputs_on(real_beside(images))

    @property
    def settings(self) -> Mapping[str, Any]:
        drawn = {"pairs": PAIRS, "weights": list(WEIGHTS), "seed": self.images.context.config.seed}
        return {**super().settings, **drawn}

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return self.by_role(set=self._of_set, real=self._of_real)

    def measure(self) -> dict[str, Any]:
        of_set, of_real = self._measured(self._of_set), self._measured(self._of_real)
        return {
            "weights": list(WEIGHTS),
            "pairs": PAIRS,
            "archs": [probe.arch for probe in self.probes],
            "probes": {name: {"set": of_set[name], "real": of_real[name]} for name in of_set},
        }

    def _measured(self, outputs: Sequence[Outputs]) -> dict[str, dict[str, Any]]:
        """R2 and KL on the sample of ``outputs``, by probe."""
        first, partner = drawn_pairs(len(outputs[0].targets), self.images.context.config.seed)
        true = self._logits_of_mixed(outputs[0], first, partner)
        logits = torch.stack([each.logits for each in outputs]).unsqueeze(1)
        weights = torch.tensor(WEIGHTS).view(-1, 1, 1)
        linear = weights * logits[:, :, first] + (1 - weights) * logits[:, :, partner]
        found = {probe.arch: fit_of(*both) for probe, *both in zip(self.probes, true, linear, strict=True)}
        if len(self.probes) > 1:
            found[ENSEMBLE] = fit_of(true.mean(dim=0), linear.mean(dim=0))
        return found

    def _logits_of_mixed(self, outputs: Outputs, first: Tensor, partner: Tensor) -> Tensor:
        """Logits of every probe on the mixed images: float32 [probes, weights, pairs, C]."""
        context = self.images.context
        images, _ = outputs.sample.read()
        one, other = network_inputs(images, first), network_inputs(images, partner)
        by_weight = []
        with context.meter(self, f"{self.title.value} of {outputs.sample.name}", len(WEIGHTS), "weights") as meter:
            for done, weight in enumerate(WEIGHTS, start=1):
                mixed = Images(weight * one + (1 - weight) * other, images.normalisation)
                by_weight.append([predict_logits(p.network(), mixed, device=context.device) for p in self.probes])
                meter.advance_to(done)
        return torch.stack([torch.stack(by_probe) for by_probe in by_weight], dim=1)


def drawn_pairs(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Positions of ``PAIRS`` random pairs of different images among ``count`` images: two tensors int64 [PAIRS]."""
    random = generator(seed, "analyses", "pairs", count)
    first = random.integers(count, size=PAIRS)
    partner = (first + random.integers(1, max(count, 2), size=PAIRS)) % count
    return torch.from_numpy(first), torch.from_numpy(partner)


def fit_of(true: Tensor, linear: Tensor) -> dict[str, Any]:
    """R2 and KL of ``linear`` as a prediction of ``true``, both [weights, pairs, C], over all weights and by weight."""
    true, linear = true.double(), linear.double()
    error = (true - linear).square().sum(dim=(1, 2))
    spread = (true - true.mean(dim=1, keepdim=True)).square().sum(dim=(1, 2))
    # Reduction "none" and not "batchmean", since the first dimension is that of the weights.
    divergence = kl_div(log_softmax(linear, dim=-1), log_softmax(true, dim=-1), reduction="none", log_target=True)
    kl = divergence.sum(dim=-1).mean(dim=1)
    return {
        "r2": plain(1 - error.sum() / spread.sum()),
        "kl": plain(kl.mean()),
        "r2_by_weight": plain(1 - error / spread),
        "kl_by_weight": plain(kl),
    }
