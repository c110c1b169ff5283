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
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """What adds points during a test."""
    with backends.use(request.param) as chosen:
        yield chosen


@pytest.fixture(params=IMPLEMENTATIONS, ids=lambda kernels: kernels.value)
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Kernels:
    """What computes with scalars during a test."""
    chosen: Kernels = request.param
    monkeypatch.setattr(selection, "KERNELS", chosen)
    return chosen
