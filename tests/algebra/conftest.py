"""Runs tests with every implementation of the kernels that this processor has instructions for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pvcnn.algebra import backends
from pvcnn.algebra.batches import Backend
from pvcnn.algebra.kernels import selection
from pvcnn.algebra.kernels.selection import Kernels, choose, compiled_features

IMPLEMENTATIONS = list(dict.fromkeys([choose("auto", compiled_features()), Kernels.PORTABLE]))


@pytest.fixture(params=IMPLEMENTATIONS, ids=lambda kernels: kernels.value, scope="module")
def kernels(request: pytest.FixtureRequest) -> Iterator[Kernels]:
    """The kernels in use during a test."""
    with selection.use(request.param):
        yield request.param


@pytest.fixture(scope="module")
def backend(kernels: Kernels) -> Backend:
    """What adds points during a test."""
    return backends.backend()
