"""Base class of teachers and students: an artefact that holds or tests a trained network."""

import contextlib
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import torch
from torch import nn

from infer.context import Context
from infer.environment import Precision
from infer.files import read_json, write_json
from infer.models import build
from infer.models.outline import weight_bytes
from infer.normalisation import Normalisation, Renormalise
from infer.progress import Meter
from infer.records.names import HISTORY
from infer.seeds import StreamKey, torch_seed
from infer.store import Artefact, Sharing, Workspace
from infer.store.files import load_tensors, save_tensors
from infer.training.draws import Draws
from infer.training.images import Images, LabelledImages
from infer.training.loop import fit
from infer.training.objectives import Objective
from infer.training.plan import Plan
from infer.training.result import FitResult
from infer.training.scoring import images_together, run_test
from infer.work import Pass, Passes

_WEIGHTS = "model.safetensors"


class TrainedNetwork(Artefact):
    """A network of one architecture, trained in the run's context; the history of its training is kept."""

    sharing = Sharing.together
    role: ClassVar[str]
    """Role among the parents of what is computed through it: teacher or student."""

    def __init__(self, context: Context, arch: str) -> None:
        self._context = context
        self.arch = arch

    @property
    @abstractmethod
    def plan(self) -> Plan:
        """Length and batches of its training."""

    @property
    @abstractmethod
    def precision(self) -> Precision:
        """Arithmetic in which it is trained."""

    @property
    @abstractmethod
    def normalisation(self) -> Normalisation:
        """The normalisation of the pixels that it is trained and tested on."""

    @abstractmethod
    def as_seen(self, images: LabelledImages) -> LabelledImages:
        """Un-augmented ``images`` of the run's data set as the network is tested on them."""

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
        progress, size = self._context.progress, self._context.data.image_size
        with self._context.meter(self, task, plan.whole_images(plan.samples_seen, size)) as meter:

            def on_epoch(row: dict[str, float]) -> None:
                meter.advance_to(meter.done, f"loss {row['train_loss']:.3f}")
                if self._context.on_epoch:
                    self._context.on_epoch(self, row)

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
                seconds_between_checkpoints=self._context.config.seconds_between_checkpoints,
                on_images=lambda shown: meter.advance_to(plan.whole_images(shown, size)),
                on_epoch=on_epoch,
                testing=lambda split, images: _counting(progress.meter(f"{task}: {split}", images, "images")),
            )
        write_json(workspace.folder / HISTORY, result.history)
        return network, result

    def passes(self, plan: Plan) -> list[Passes]:
        """Passes of ``train`` with ``plan``: of every size of its images, then those of the tests."""
        shown, tests = plan.samples_seen, plan.num_tests * self._num_test_images
        whole = self._context.passes(Pass.train, self.arch, shown, plan.largest_part, self.precision)
        train = [whole.at_size(size, images) for size, images in plan.images_by_size(shown, whole.size).items()]
        return [*train, self._context.passes(Pass.forward, self.arch, tests, self._tested_together, self.precision)]

    def test_passes(self) -> list[Passes]:
        """Passes of ``test``."""
        return [self._context.passes(Pass.forward, self.arch, self._num_test_images, self._tested_together)]

    @property
    def _num_test_images(self) -> int:
        data = self._context.data
        return len(data.test.targets) + (0 if data.val is None else len(data.val.targets))

    @property
    def _tested_together(self) -> int:
        return min(images_together(self._context.data.image_size**2), self._num_test_images)

    def test(self, network: nn.Module, workspace: Workspace) -> dict[str, float]:
        """Accuracies in fp32, e.g. ``test/top1``, of a network that was trained elsewhere; its history is one row."""
        network.to(self._context.device)
        scores: dict[str, float] = {}
        for split, images in self.test_images().items():
            with self._context.meter(self, f"{self.stage.value} {self.arch}: {split}", len(images)) as meter:
                outcome = run_test(network, images, self._context.device, on_images=meter.advance_to)
            scores |= {f"{split}/{name}": value for name, value in outcome.scores.items()}
        write_json(workspace.folder / HISTORY, [{"epoch": 0, "step": 0, **scores}])
        return scores

    def test_images(self) -> dict[str, LabelledImages]:
        """The images to test on: the test split and, where one is held out, the validation split."""
        data = self._context.data
        splits = {"test": data.test} | ({"val": data.val} if data.val is not None else {})
        return {
            name: self.as_seen(LabelledImages(split.images, data.normalisation, split.targets))
            for name, split in splits.items()
        }

    def network(self, normalisation: Normalisation | None = None) -> nn.Module:
        """The trained network on the run's device, in eval mode, its parameters frozen.

        It takes pixels with ``normalisation``, by default that of the data set; a first layer converts them where its
        own differs. Raises FileNotFoundError where the weights are not kept.
        """
        given = normalisation or self._context.data.normalisation
        if given == self.normalisation:
            return self._load()
        change = Renormalise(given, self.normalisation).to(self._context.device)
        return nn.Sequential(change, self._load()).eval()

    def keep(self, network: nn.Module, workspace: Workspace) -> None:
        """Write the weights of the trained ``network``, so that ``network()`` finds them."""
        save_tensors(workspace.folder / _WEIGHTS, network.state_dict())

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weights, where they are kept."""
        return weight_bytes(self.arch, self._context.data.num_classes, self._context.data.image_size)

    def _load(self) -> nn.Module:
        loaded = self._context.networks
        if self.signature not in loaded:
            data = self._context.data
            network = build(self.arch, data.num_classes, data.image_size)
            network.load_state_dict(load_tensors(self._context.folder(self) / _WEIGHTS))
            loaded[self.signature] = network.to(self._context.device).eval().requires_grad_(False)
        return loaded[self.signature]


@contextlib.contextmanager
def _counting(opened: contextlib.AbstractContextManager[Meter]) -> Iterator[Callable[[int], None]]:
    """The function that moves the meter ``opened``."""
    with opened as meter:
        yield meter.advance_to
