"""INFER: one compensator per teacher and natural subset, shared by the images of all classes (ICLR 2025).

A subset P_k holds one real image per class. A compensator u is optimised so that teacher m recognises P_k + u and sees
in it the feature statistics of its training data; composed images are P_k and clip(P_k + u).
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from infer.config import Stage
from infer.config.method import InferMethod
from infer.context import Context
from infer.distilled.compose import (
    ComposedOnDemand,
    compose,
    composed_targets,
    round_compensators,
    unround_compensators,
)
from infer.distilled.folder import read_parts, write_composable
from infer.methods.augmentation import Augmentation
from infer.methods.base import Block, Bytes, DistilledArtefact
from infer.methods.budget import compensator_bytes, image_bytes, ipc_charged
from infer.methods.compensators import compensation
from infer.methods.optimisation import optimise, settings_of
from infer.records.names import CURVES
from infer.store import Artefact, Workspace
from infer.store.files import load_tensors, save_tensors
from infer.teachers.teacher import Teacher
from infer.training.images import Images

_COMPENSATORS = "compensators.safetensors"
_COMPOSED_AT_ONCE = 2 * 2**30
"""Bytes of composed images that are held together; of a larger set every batch is composed when it is used."""


class CompensatorGroup(Artefact):
    """The float32 compensators of one teacher for consecutive subsets k, optimised in one batch."""

    kind = "compensators"
    stage = Stage.generate

    def __init__(self, context: Context, method: InferMethod, teacher: Teacher, subsets: range) -> None:
        self._context = context
        self._method = method
        self.teacher = teacher
        self.subsets = subsets
        self._augmentation = Augmentation(method.jitter_px, crop_scale_min=method.crop_scale_min)
        self._class_chunk = method.chunk_of(context.data.num_classes)

    @property
    def name(self) -> str:
        return f"{self._context.data.name}-{self.teacher.arch}-k{self.subsets.start}-{self.subsets.stop - 1}"

    @property
    def settings(self) -> Mapping[str, Any]:
        method = self._method
        settings = {
            "data": self._context.data.fingerprint,
            "seed": self._context.config.seed,
            "subsets": [self.subsets.start, self.subsets.stop],
            "iterations": method.iterations,
            "lr": method.lr,
            "bn_weight": method.bn_weight,
            "first_bn_multiplier": method.first_bn_multiplier,
            "precision": method.precision,
            **self._augmentation.settings,
        }
        if self._class_chunk is not None:
            settings |= {"class_chunk": self._class_chunk, "chunk_statistics": method.chunk_statistics}
        return settings

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return {"teacher": self.teacher}

    def make(self, workspace: Workspace) -> dict[str, Any]:
        context, method, data = self._context, self._method, self._context.data
        seed, subsets = context.config.seed, self.subsets
        natural = data.normalisation.normalise(data.natural(seed, subsets.start, subsets.stop)).to(context.device)
        streams = [(self.teacher.arch, k) for k in subsets]
        transforms = self._augmentation.draw(seed, streams, method.iterations, data.image_size)
        settings = settings_of(
            method,
            len(subsets) * data.num_classes,
            data.image_size,
            class_chunk=self._class_chunk,
            chunk_statistics=method.chunk_statistics,
        )
        description = f"generate {self.teacher.arch} k={self.subsets.start}..{self.subsets.stop - 1}"
        with context.console.progress(description, method.iterations) as ticker:
            found = optimise(
                self.teacher.network(),
                compensation(natural, transforms, data.normalisation.valid_range, self._class_chunk),
                settings,
                on_progress=ticker.advance_to,
                name=self.teacher.arch,
            )
        save_tensors(workspace.folder / _COMPENSATORS, {"compensators": found.free.squeeze(1)})
        save_tensors(workspace.folder / CURVES, found.curves)
        return {"compiled": found.compiled, "final": found.last_values}

    def compensators(self) -> Tensor:
        """float32 [subsets, 3, H, W], normalised units, free of any clipping."""
        return load_tensors(self._context.folder(self) / _COMPENSATORS)["compensators"]


class InferSet(DistilledArtefact):
    """K natural subsets and the M·K compensators for them."""

    def __init__(self, context: Context, method: InferMethod, teachers: list[Teacher], subsets: int) -> None:
        super().__init__(context)
        data = context.data
        self.subsets = subsets
        self.stored_images = subsets * data.num_classes
        self.ipc_charged = ipc_charged(subsets, data.num_classes, len(teachers))
        self.in_words = f"K={subsets} natural subsets with the compensators of M={len(teachers)} teachers"
        self.teachers = teachers
        self._dtype = method.compensator_dtype.value
        limit = min(data.train_counts)
        self._ranges = [range(k, min(k + method.group, limit)) for k in range(0, subsets, method.group)]
        self.groups = [
            [CompensatorGroup(context, method, teacher, group) for group in self._ranges] for teacher in teachers
        ]
        self.num_images = subsets * (len(teachers) + 1) * data.num_classes

    @property
    def name(self) -> str:
        return f"{self.context.data.name}-infer-M{len(self.teachers)}-K{self.subsets}"

    @property
    def settings(self) -> Mapping[str, Any]:
        return {
            "method": "infer",
            "data": self.context.data.fingerprint,
            "seed": self.context.config.seed,
            "K": self.subsets,
            "compensator_dtype": self._dtype,
        }

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return {f"{m}/{g}": group for m, groups in enumerate(self.groups) for g, group in enumerate(groups)}

    @property
    def bytes(self) -> Bytes:
        size, classes = self.context.data.image_size, self.context.data.num_classes
        return Bytes(
            natural=self.subsets * classes * image_bytes(size),
            compensators=len(self.teachers) * self.subsets * compensator_bytes(size, self._dtype),
        )

    def make(self, workspace: Workspace) -> dict[str, Any]:
        data, seed = self.context.data, self.context.config.seed
        compensators = torch.stack(
            [torch.cat([g.compensators() for g in groups])[: self.subsets] for groups in self.groups]
        )
        manifest = {
            "method": "infer",
            "dataset": self.dataset_manifest,
            "sizes": {
                "K": self.subsets,
                "M": len(self.teachers),
                "C": data.num_classes,
                "N": self.num_images,
            },
            "teachers": [{"arch": teacher.arch, "signature": teacher.signature} for teacher in self.teachers],
            "compensator_dtype": self._dtype,
            "seed": seed,
            "bytes": {"natural": self.bytes.natural, "compensators": self.bytes.compensators},
            "ipc_charged": self.ipc_charged,
        }
        write_composable(workspace.folder, data.natural(seed, 0, self.subsets), compensators, self._dtype, manifest)
        return {"ipc_charged": self.ipc_charged}

    @property
    def blocks(self) -> list[Block]:
        """For every range of subsets the natural images, then the images composed with each teacher's compensators."""
        made_by: list[list[CompensatorGroup | None]] = [[None] * len(self._ranges), *self.groups]
        return [
            self._block(number, groups[g], subsets.start, subsets.stop)
            for g, subsets in enumerate(self._ranges)
            for number, groups in enumerate(made_by)
        ]

    def _block(self, number: int, group: CompensatorGroup | None, start: int, stop: int) -> Block:
        data, seed = self.context.data, self.context.config.seed

        def images() -> Tensor:
            natural = data.natural(seed, start, stop)
            if group is None:
                return data.normalisation.normalise(natural).flatten(0, 1)
            stored = unround_compensators(round_compensators(group.compensators(), self._dtype))
            both = compose(natural, stored.unsqueeze(0), data.normalisation)
            return both.unflatten(0, (stop - start, 2, -1))[:, 1].flatten(0, 1)

        settings = {"data": data.fingerprint, "seed": seed, "subsets": [start, stop]}
        if group is not None:
            settings["compensator_dtype"] = self._dtype
        return Block(
            name=f"k{start}-{stop - 1}-{'natural' if group is None else group.teacher.arch}",
            settings=settings,
            parents={} if group is None else {"compensators": group},
            images=images,
            rows=self._order()[start : min(stop, self.subsets), number].flatten(),
        )

    def _order(self) -> Tensor:
        """Where each composed image stands: int64 [K, M+1, C]."""
        return torch.arange(self.num_images).view(self.subsets, len(self.teachers) + 1, -1)

    @property
    def generation(self) -> dict[str, Any]:
        return {"optimised": "compensators", "each": "subsets", "count": self.subsets}

    def images(self) -> Images:
        data, parts = self.context.data, self.parts()
        at_once = self.num_images * image_bytes(data.image_size) * torch.float32.itemsize <= _COMPOSED_AT_ONCE
        pixels = (compose if at_once else ComposedOnDemand)(*parts, data.normalisation)
        return Images(pixels, data.normalisation)

    def targets(self) -> Tensor:
        return composed_targets(self.subsets, len(self.teachers) + 1, self.context.data.num_classes)

    def parts(self) -> tuple[Tensor, Tensor]:
        """Natural images uint8 [K, C, 3, H, W] and compensators float32 [M, K, 3, H, W] as stored."""
        return read_parts(self.context.folder(self))
