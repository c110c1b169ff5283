"""Both implementations of the kernels, for tests that ask for `kernels`."""

from __future__ import annotations

import pytest
from llvmlite import binding

from pvcnn.algebra.kernels import selection
from pvcnn.algebra.kernels.selection import NEEDED_FEATURES, Kernels


def on_lanes() -> bool:
    """Whether this processor can run the kernels on eight lanes."""
    features = binding.get_host_cpu_features()
    return all(features.get(name, False) for name in NEEDED_FEATURES)


@pytest.fixture(params=list(Kernels), ids=lambda kernels: str(kernels.value))
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Kernels:
    """Runs the test with each implementation that this processor has."""
    chosen: Kernels = request.param
    if chosen is Kernels.IFMA and not on_lanes():
        pytest.skip("this processor lacks AVX-512 IFMA")
    monkeypatch.setattr(selection, "KERNELS", chosen)
    return chosen
