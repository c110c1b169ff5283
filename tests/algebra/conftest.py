"""Both implementations of the kernels, for tests that ask for `kernels`."""

from __future__ import annotations

import pytest

from pvcnn.algebra.kernels import selection
from pvcnn.algebra.kernels.selection import Kernels, choose, compiled_features


@pytest.fixture(params=list(Kernels), ids=lambda kernels: str(kernels.value))
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Kernels:
    """Runs the test with each implementation that this processor has."""
    chosen: Kernels = request.param
    if chosen is Kernels.IFMA and choose("auto", compiled_features()) is not Kernels.IFMA:
        pytest.skip("this processor lacks AVX-512 IFMA")
    monkeypatch.setattr(selection, "KERNELS", chosen)
    return chosen
