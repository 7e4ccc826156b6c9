"""A small set of INFER with its two teachers, made once for all tests of this folder."""

import pytest

from infer.analyses.registry import teachers_of
from infer.methods.registry import distilled_set
from infer.plots.style import drawing


@pytest.fixture(scope="session")
def context(make_context):
    return make_context()


@pytest.fixture(scope="session")
def images(context):
    found = distilled_set(context)
    context.obtain(found)
    return found


@pytest.fixture(scope="session")
def probes(context, images):
    return teachers_of(context)


@pytest.fixture
def style():
    with drawing():
        yield
