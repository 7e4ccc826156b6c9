"""Base class of teachers and students: an artefact that holds or tests a trained network."""

from typing import Any

import torch
from torch import nn

from infer.context import Context
from infer.environment import Precision
from infer.files import read_json, write_json
from infer.models import build
from infer.records.names import HISTORY
from infer.seeds import StreamKey, torch_seed
from infer.store import Artefact, Workspace
from infer.training.draws import Draws
from infer.training.images import Images, LabelledImages
from infer.training.loop import FitResult, fit
from infer.training.objectives import Objective
from infer.training.plan import Plan
from infer.training.scoring import run_test


class TrainedNetwork(Artefact):
    """A network of one architecture, trained in the run's context; the history of its training is kept."""

    def __init__(self, context: Context, arch: str) -> None:
        self._context = context
        self.arch = arch

    @property
    def precision(self) -> Precision:
        """Arithmetic in which it is trained."""
        return self._context.precision

    @property
    def facts(self) -> dict[str, Any]:
        """Scores and counts, as recorded."""
        facts: dict[str, Any] = self._context.obtain(self)["facts"]
        return facts

    def history(self) -> list[dict[str, float]]:
        """One row per epoch, as ``FitResult.history``."""
        rows: list[dict[str, float]] = read_json(self._context.folder(self) / HISTORY)
        return rows

    def untrained(self, stream: StreamKey) -> nn.Module:
        """The network with initial weights that depend on ``stream`` alone."""
        data = self._context.data
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch_seed(*stream, "weights"))
            return build(self.arch, data.num_classes, data.image_size)

    def train(
        self,
        workspace: Workspace,
        task: str,
        stream: StreamKey,
        images: Images,
        objective: Objective,
        plan: Plan,
        draws: Draws | None = None,
    ) -> tuple[nn.Module, FitResult]:
        """Train on ``images``, test on the real ones, and write the history; ``task`` names the progress bar.

        All randomness comes from ``stream``, that of the batches from ``draws`` if they are given. Interrupted, it goes
        on from ``workspace.scratch``.
        """
        network = self.untrained(stream)
        with self._context.console.progress(task, plan.total_steps) as ticker:
            result = fit(
                network,
                images,
                objective,
                plan,
                stream=stream,
                draws=draws,
                tests=self.test_images(),
                device=self._context.device,
                precision=self.precision,
                checkpoint_dir=workspace.scratch,
                on_epoch=lambda row: ticker.advance_to(int(row["step"]), f"loss {row['train_loss']:.3f}"),
            )
        write_json(workspace.folder / HISTORY, result.history)
        return network, result

    def test(self, network: nn.Module, workspace: Workspace) -> dict[str, float]:
        """Accuracies in fp32, e.g. ``test/top1``, of a network that was trained elsewhere; its history is one row."""
        network.to(self._context.device)
        scores = {
            f"{split}/{name}": value
            for split, images in self.test_images().items()
            for name, value in run_test(network, images, self._context.device).scores.items()
        }
        write_json(workspace.folder / HISTORY, [{"epoch": 0, "step": 0, **scores}])
        return scores

    def test_images(self) -> dict[str, LabelledImages]:
        """The images to test on: the test split and, where one is held out, the validation split."""
        data = self._context.data
        splits = {"test": data.test} | ({"val": data.val} if data.val is not None else {})
        return {name: LabelledImages(split.images, data.normalisation, split.targets) for name, split in splits.items()}
