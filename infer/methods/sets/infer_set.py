"""The distilled set of INFER: natural subsets and the compensators that turn them into composed images."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

import torch
from torch import Tensor

from infer.context import Context
from infer.distilled.codec import EXACT, library_of
from infer.distilled.compose import (
    ComposedOnDemand,
    compose,
    composed_targets,
    decoded,
    round_compensators,
    unround_compensators,
)
from infer.distilled.folder import read_parts, write_composable
from infer.methods.budget import compensator_bytes, image_bytes, ipc_charged
from infer.methods.infer import InferMethod
from infer.methods.sets.ablated import ablated
from infer.methods.sets.base import Block, Bytes, DistilledArtefact
from infer.methods.sets.compensators import CompensatorGroup
from infer.store import Artefact, Workspace
from infer.teachers.teacher import Teacher
from infer.training.images import Images

_COMPOSED_AT_ONCE = 2 * 2**30
"""Largest number of bytes of composed images that are kept in memory; a larger set composes each batch on use."""


class InferSet(DistilledArtefact):
    """K natural subsets and the M·K compensators for them."""

    def __init__(self, context: Context, method: InferMethod, teachers: list[Teacher], subsets: int) -> None:
        super().__init__(context)
        self.subsets = subsets
        self.teachers = teachers
        self._method = method
        self._dtype = method.compensator_dtype.value
        self._codec = method.composed_codec.value
        limit = min(context.data.train_counts)
        self._ranges = [range(k, min(k + method.group, limit)) for k in range(0, subsets, method.group)]
        self.groups = [
            [CompensatorGroup(context, method, teacher, group) for group in self._ranges] for teacher in teachers
        ]

    @property
    def name(self) -> str:
        return f"{self.context.data.name}-infer-M{len(self.teachers)}-K{self.subsets}"

    @property
    def num_images(self) -> int:
        return self.stored_images * (len(self.teachers) + 1)

    @property
    def stored_images(self) -> int:
        return self.subsets * self.context.data.num_classes

    @property
    def ipc_charged(self) -> float:
        method, classes = self._method, self.context.data.num_classes
        return ipc_charged(self.subsets, classes, len(self.teachers), method.per_class, method.compensator_scale)

    @property
    def size_text(self) -> str:
        changed = [f"{key} {value}" for key, value in self._changes.items()]
        size = f"K={self.subsets} natural subsets with the compensators of M={len(self.teachers)} teachers"
        return ", ".join([size, *changed])

    @property
    def settings(self) -> Mapping[str, Any]:
        return {
            "method": "infer",
            "data": self.context.data.fingerprint,
            "seed": self.context.config.seed,
            "K": self.subsets,
            "compensator_dtype": self._dtype,
            **self._changes,
        }

    @property
    def _changes(self) -> dict[str, Any]:
        """Settings added in later versions, where they differ from the default, so that older signatures stay valid."""
        usual, own = InferMethod(), self._method
        keys = ("compensator_scale", "composed_codec", "ablation")
        changed = {key: getattr(own, key) for key in keys if getattr(own, key) != getattr(usual, key)}
        return {key: value.value if isinstance(value, Enum) else value for key, value in changed.items()}

    @property
    def parents(self) -> Mapping[str, Artefact]:
        return {f"{m}/{g}": group for m, groups in enumerate(self.groups) for g, group in enumerate(groups)}

    @property
    def bytes(self) -> Bytes:
        size, method = self.context.data.image_size, self._method
        compensators = len(self.teachers) * (self.stored_images if method.per_class else self.subsets)
        return Bytes(
            natural=self.stored_images * image_bytes(size),
            compensators=compensators * compensator_bytes(size // method.compensator_scale, self._dtype),
        )

    def make(self, workspace: Workspace) -> dict[str, Any]:
        data, seed = self.context.data, self.context.config.seed
        compensators = torch.stack(
            [torch.cat([self._as_used(group) for group in groups])[: self.subsets] for groups in self.groups]
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
            **self._changes,
            **library_of(self._codec),
            "seed": seed,
            "bytes": {"natural": self.bytes.natural, "compensators": self.bytes.compensators},
            "ipc_charged": self.ipc_charged,
        }
        write_composable(workspace.folder, data.natural(seed, 0, self.subsets), compensators, self._dtype, manifest)
        return {"ipc_charged": self.ipc_charged}

    @property
    def blocks(self) -> list[Block]:
        """For every range of subsets a block of natural images, then a block of composed images for each teacher."""
        columns: list[Sequence[CompensatorGroup | None]] = [[None] * len(self._ranges), *self.groups]
        return [
            self._block(number, groups[g], subsets.start, subsets.stop)
            for g, subsets in enumerate(self._ranges)
            for number, groups in enumerate(columns)
        ]

    def _block(self, number: int, group: CompensatorGroup | None, start: int, stop: int) -> Block:
        data, seed = self.context.data, self.context.config.seed

        def images() -> Tensor:
            natural = data.natural(seed, start, stop)
            if group is None:
                return decoded(data.normalisation.normalise(natural).flatten(0, 1), data.normalisation, self._codec)
            stored = unround_compensators(round_compensators(self._as_used(group), self._dtype))
            both = compose(natural, stored.unsqueeze(0), data.normalisation, self._codec)
            return torch.unflatten(both, 0, (stop - start, 2, -1))[:, 1].flatten(0, 1)

        settings = {"data": data.fingerprint, "seed": seed, "subsets": [start, stop]}
        if self._codec != EXACT:
            settings["composed_codec"] = self._codec
        if group is not None:
            settings["compensator_dtype"] = self._dtype
            settings |= {key: value for key, value in self._changes.items() if key == "ablation"}
        return Block(
            name=f"k{start}-{stop - 1}-{'natural' if group is None else group.teacher.arch}",
            settings=settings,
            parents={} if group is None else {"compensators": group},
            images=images,
            rows=self._order()[start : min(stop, self.subsets), number].flatten(),
        )

    def _as_used(self, group: CompensatorGroup) -> Tensor:
        """The compensators of ``group`` before rounding, changed as ``method.ablation`` says."""
        seed, ablation = self.context.config.seed, self._method.ablation
        return ablated(group.compensators(), ablation, seed, group.teacher.arch, group.subsets)

    def _order(self) -> Tensor:
        """Position of each composed image in the set: int64 [K, M+1, C]."""
        return torch.arange(self.num_images).view(self.subsets, len(self.teachers) + 1, -1)

    @property
    def generation(self) -> dict[str, Any]:
        return {"optimised": "compensators", "each": "subsets", "count": self.subsets}

    def images(self) -> Images:
        data = self.context.data
        at_once = self.num_images * image_bytes(data.image_size) * torch.float32.itemsize <= _COMPOSED_AT_ONCE
        composed = compose if at_once else ComposedOnDemand
        return Images(composed(*self.parts(), data.normalisation, self._codec), data.normalisation)

    def targets(self) -> Tensor:
        return composed_targets(self.subsets, len(self.teachers) + 1, self.context.data.num_classes)

    def parts(self) -> tuple[Tensor, Tensor]:
        """Natural images, uint8 [K, C, 3, H, W], and stored compensators as float32, with shapes as in ``compose``."""
        return read_parts(self.context.folder(self))
