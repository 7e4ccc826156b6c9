"""Settings of the methods: the part of them that enters signatures, and the sizes that they ask for."""

from dataclasses import replace

import pytest

from infer.errors import UsageError
from infer.methods.dwa import DwaMethod
from infer.methods.infer import ChunkStatistics, InferMethod
from infer.methods.sre2l import Sre2lMethod

PLAIN = Sre2lMethod().signature_settings


def test_a_signature_names_only_settings_that_have_an_effect() -> None:
    assert set(PLAIN) == {"iterations", "lr", "bn_weight", "first_bn_multiplier", "precision", "jitter_px"}
    assert Sre2lMethod(compile=True).signature_settings == PLAIN
    cda = Sre2lMethod(two_sided_jitter=True, crop_scale_min=0.08, crop_milestone=1.0)
    assert cda.signature_settings == PLAIN | {
        "two_sided_jitter": True,
        "crop_scale_min": 0.08,
        "crop_milestone": 1.0,
    }
    assert Sre2lMethod(crop_scale_min=0.5).signature_settings == PLAIN | {"crop_scale_min": 0.5}


def test_a_signature_names_the_settings_of_the_method() -> None:
    dwa = DwaMethod(variance_weight=2.0, perturbation_steps=3, perturbation_radius=0.5)
    assert dwa.signature_settings == PLAIN | {"variance_weight": 2.0, "perturbation": [3, 0.5]}
    added = replace(dwa, accumulate_ascent_gradient=True)
    assert added.signature_settings == dwa.signature_settings | {"accumulate_ascent_gradient": True}
    still = replace(added, perturbation_steps=0)
    assert still.signature_settings == replace(still, accumulate_ascent_gradient=False).signature_settings


def test_chunks_are_in_a_signature_where_there_is_more_than_one() -> None:
    method = InferMethod(class_chunk=10, chunk_statistics=ChunkStatistics.each)
    assert method.compensator_settings(10) == method.signature_settings
    assert method.compensator_settings(11) == method.signature_settings | {
        "class_chunk": 10,
        "chunk_statistics": "each",
    }


@pytest.mark.parametrize("method", ["herding", "random", "rded", "sre2l"])
def test_methods_without_natural_subsets_refuse_a_number_of_them(resolved, method: str) -> None:
    settings = resolved(f"method={method}", "K=3", "ipc=2")
    with pytest.raises(UsageError, match=f"K=3 does not apply to method={method}. Type ipc="):
        settings.method.requested_ipc(_Run(settings))


class _Run:
    """A run's context as far as its settings."""

    def __init__(self, config) -> None:
        self.config = config
