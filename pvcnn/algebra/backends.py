"""What adds points in this process: see `pvcnn.algebra.kernels.selection`."""

from __future__ import annotations

from functools import lru_cache

from pvcnn.algebra.batches import Backend
from pvcnn.algebra.kernels import selection
from pvcnn.algebra.kernels.selection import Kernels
from pvcnn.algebra.portable_batches import PortableBackend


def backend() -> Backend:
    """The backend of the kernels in use."""
    return _make(selection.KERNELS)


@lru_cache
def _make(kernels: Kernels) -> Backend:
    if kernels is Kernels.PORTABLE:
        return PortableBackend()
    # Not even imported where its code could not run.
    from pvcnn.algebra.ifma_batches import IfmaBackend

    return IfmaBackend()
