"""Base class of teachers and students: artefacts of a network that is trained, or read from a file and tested."""

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
    """A network of one architecture, trained in the run's context; the history of its training is stored."""

    sharing = Sharing.together
    role: ClassVar[str]
    """Role among the parents of artefacts that are computed with the network: teacher or student."""

    def __init__(self, context: Context, arch: str) -> None:
        self._context = context
        self.arch = arch

    @property
    @abstractmethod
    def plan(self) -> Plan:
        """Length and batches of the training."""

    @property
    @abstractmethod
    def precision(self) -> Precision:
        """Floating-point format in which the network is trained."""

    @property
    @abstractmethod
    def normalisation(self) -> Normalisation:
        """The normalisation of the pixels on which the network is trained and tested."""

    @abstractmethod
    def as_seen(self, images: LabelledImages) -> LabelledImages:
        """Un-augmented ``images`` of the run's data set, converted to the form in which the network is tested."""

    @property
    def facts(self) -> dict[str, Any]:
        """Scores and counts from the artefact's record."""
        facts: dict[str, Any] = self._context.obtain(self)["facts"]
        return facts

    def history(self) -> list[dict[str, float]]:
        """History of the training with one row per epoch, as in ``FitResult.history``."""
        rows: list[dict[str, float]] = read_json(self._context.folder(self) / HISTORY)
        return rows

    def untrained(self, stream: StreamKey) -> nn.Module:
        """The network with initial weights that depend on ``stream`` only."""
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
        """Train on ``images``, test on real images, and write the history; ``task`` is the label of the progress bar.

        All random numbers depend on ``stream``, except that those of the batches come from ``draws`` if given. An
        interrupted training is resumed from ``workspace.scratch``.
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
        """Passes of images in ``train`` with ``plan``: one for each size of images, and one for the tests."""
        shown, tests = plan.samples_seen, plan.num_tests * self._num_test_images
        whole = self._context.passes(Pass.train, self.arch, shown, plan.largest_part, self.precision)
        train = [whole.at_size(size, images) for size, images in plan.images_by_size(shown, whole.size).items()]
        return [*train, self._context.passes(Pass.forward, self.arch, tests, self._tested_together, self.precision)]

    def test_passes(self) -> list[Passes]:
        """Passes of images in ``test``."""
        return [self._context.passes(Pass.forward, self.arch, self._num_test_images, self._tested_together)]

    @property
    def _num_test_images(self) -> int:
        data = self._context.data
        return len(data.test.targets) + (0 if data.val is None else len(data.val.targets))

    @property
    def _tested_together(self) -> int:
        return min(images_together(self._context.data.image_size**2), self._num_test_images)

    def test(self, network: nn.Module, workspace: Workspace) -> dict[str, float]:
        """Test a network that was trained elsewhere: accuracies in fp32, such as ``test/top1``.

        They are also written as a history of one row.
        """
        network.to(self._context.device)
        scores: dict[str, float] = {}
        for split, images in self.test_images().items():
            with self._context.meter(self, f"{self.stage.value} {self.arch}: {split}", len(images)) as meter:
                outcome = run_test(network, images, self._context.device, on_images=meter.advance_to)
            scores |= {f"{split}/{name}": value for name, value in outcome.scores.items()}
        write_json(workspace.folder / HISTORY, [{"epoch": 0, "step": 0, **scores}])
        return scores

    def test_images(self) -> dict[str, LabelledImages]:
        """The images to test on: the test split and, where it was held out, the validation split."""
        data = self._context.data
        splits = {"test": data.test} | ({"val": data.val} if data.val is not None else {})
        return {
            name: self.as_seen(LabelledImages(split.images, data.normalisation, split.targets))
            for name, split in splits.items()
        }

    def network(self, normalisation: Normalisation | None = None) -> nn.Module:
        """The trained network on the run's device, in eval mode, with frozen parameters.

        It takes pixels with ``normalisation``, by default that of the data set. Where the network was trained with
        another one, a first layer converts the pixels. Raises FileNotFoundError where the weights are not stored.
        """
        given = normalisation or self._context.data.normalisation
        if given == self.normalisation:
            return self._load()
        change = Renormalise(given, self.normalisation).to(self._context.device)
        return nn.Sequential(change, self._load()).eval()

    def keep(self, network: nn.Module, workspace: Workspace) -> None:
        """Write the weights of the trained ``network``, for ``network()`` to read."""
        save_tensors(workspace.folder / _WEIGHTS, network.state_dict())

    @property
    def weight_bytes(self) -> int:
        """Size of the weights in bytes, if they are stored."""
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
    """Context of the meter ``opened``, with the function that advances it."""
    with opened as meter:
        yield meter.advance_to
