"""Compiled loops over field elements and points, for `pvcnn.algebra` alone.

Kernels take addresses and counts (int64) and read and write memory that their caller owns and has
checked: the drivers in `pvcnn.algebra` are the only ones that call them.
"""

from __future__ import annotations

from pvcnn.errors import DependencyMissing

try:
    import numba as _numba  # noqa: F401
except ImportError as error:
    raise DependencyMissing(
        "this needs numba, which is not installed: pip install 'pvcnn[prover]'"
    ) from error
