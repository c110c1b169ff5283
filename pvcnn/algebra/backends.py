"""Which backend adds points in this process: see `pvcnn.algebra.kernels.selection`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from pvcnn.algebra.batches import Backend
from pvcnn.algebra.kernels.selection import KERNELS, Kernels
from pvcnn.algebra.portable_batches import PortableBackend


@lru_cache
def _make(kernels: Kernels) -> Backend:
    if kernels is Kernels.PORTABLE:
        return PortableBackend()
    # Not even imported where its code could not run.
    from pvcnn.algebra.ifma_batches import IfmaBackend

    return IfmaBackend()


_active = _make(KERNELS)


def backend() -> Backend:
    """The backend in use."""
    return _active


@contextmanager
def use(kernels: Kernels) -> Iterator[Backend]:
    """Another backend in this process for a while, to test or measure it. Not for several threads."""
    global _active
    before, _active = _active, _make(kernels)
    try:
        yield _active
    finally:
        _active = before
