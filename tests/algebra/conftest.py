"""Runs tests with every backend of point additions that this processor has instructions for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pvcnn.algebra import backends
from pvcnn.algebra.batches import Backend
from pvcnn.algebra.kernels.selection import Kernels, choose, compiled_features

BACKENDS = list(dict.fromkeys([choose("auto", compiled_features()), Kernels.PORTABLE]))


@pytest.fixture(params=BACKENDS, ids=lambda kernels: kernels.value, scope="module")
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """The backend in use during a test."""
    with backends.use(request.param) as chosen:
        yield chosen
