"""How batches that were labelled elsewhere were made, and whether a protocol asks for the same."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from infer.config.evaluate import Mix
from infer.config.training import Crop, Training
from infer.labels.fkd_batches import FkdBatch
from infer.training.plan import Plan


@dataclass(frozen=True)
class Form:
    """What batches have in common, as far as their protocol decides on it."""

    mix: tuple[str, ...]
    """none, mixup or cutmix; several where batches differ."""
    enlarged: bool
    """Whether some crop is smaller than the image."""
    reach: int
    """Pixels by which crops reach over the edges of the image, at most."""
    flipped: bool
    """Whether some image is mirrored."""
    patches: tuple[int, ...]
    """Rows of patches that were put into another order; 1: none. Several where batches differ."""

    @classmethod
    def of(cls, batches: Iterable[FkdBatch], size: tuple[int, int]) -> Self:
        """The form of ``batches`` of images of ``size`` (H, W)."""
        return cls.together([_form_of(batch, size) for batch in batches])

    @classmethod
    def together(cls, forms: Sequence["Form"]) -> Self:
        """What holds of all ``forms``."""
        return cls(
            mix=tuple(sorted({mix for form in forms for mix in form.mix})),
            enlarged=any(form.enlarged for form in forms),
            reach=max(form.reach for form in forms),
            flipped=any(form.flipped for form in forms),
            patches=tuple(sorted({patches for form in forms for patches in form.patches})),
        )

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> Self:
        """What ``facts`` gave."""
        return cls(**facts | {"mix": tuple(facts["mix"]), "patches": tuple(facts["patches"])})

    def facts(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    @property
    def contradiction(self) -> str | None:
        """Why no protocol makes such batches; None where one does."""
        if len(self.mix) > 1:
            return f"its batches are mixed in different ways ({' and '.join(self.mix)})"
        if len(self.patches) > 1:
            return "the patches of some of its batches are shuffled and those of others are not"
        if self.enlarged and self.reach:
            return f"its crops are enlarged, and some reach {self.reach} pixels over the edge of the image"
        return None

    def words_for(self, plan: Plan) -> list[str]:
        """The settings to type where ``plan`` asks for other batches than these; none where it asks for the same."""
        settings = plan.settings
        mix = Mix.none if plan.mix_alpha is None else Mix.cutmix if plan.cutmix else Mix.mixup
        words = [f"evaluate.mix={self.mix[0]}"] if mix.value != self.mix[0] else []
        words += self._crop_words(settings)
        if self.flipped and not settings.flip:
            words.append("evaluate.flip=true")
        if self.patches[0] != settings.shuffle_patches:
            words.append(f"evaluate.shuffle_patches={self.patches[0]}")
        return words

    def _crop_words(self, settings: Training) -> list[str]:
        if self.enlarged:
            return ["evaluate.crop=resized"] if settings.crop is Crop.padded else []
        words = ["evaluate.crop=padded"] if self.reach and settings.crop is Crop.resized else []
        if self.reach > settings.crop_padding:
            words.append(f"evaluate.crop_padding={self.reach}")
        return words


def batch_size_words(sizes: list[int], plan: Plan) -> list[str] | None:
    """The settings to type so that the batches of ``plan`` have these ``sizes``; None where no settings do it."""
    if sizes == plan.batch_sizes:
        return []
    for even in (False, True):
        other = replace(plan, settings=replace(plan.settings, batch_size=sizes[0], even_batches=even))
        if sizes == other.batch_sizes:
            words = [f"evaluate.even_batches={str(even).lower()}"] if even != plan.settings.even_batches else []
            return [f"evaluate.batch_size={sizes[0]}", *words]
    return None


def _form_of(batch: FkdBatch, size: tuple[int, int]) -> Form:
    height, width = size
    top, left, rows, columns = batch.boxes.unbind(dim=1)
    edges = (-top, -left, top + rows - height, left + columns - width)
    mix = Mix.none if batch.partner is None else Mix.mixup if batch.cut_box is None else Mix.cutmix
    return Form(
        mix=(mix.value,),
        enlarged=bool(((rows < height) | (columns < width)).any()),
        reach=max(0, *(int(edge.max()) for edge in edges)),
        flipped=bool(batch.flip.any()),
        patches=(1 if batch.patch_rows is None else batch.patch_rows.shape[1],),
    )
