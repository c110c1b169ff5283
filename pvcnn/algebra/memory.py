"""Memory that a thread keeps from one computation to the next.

Fresh memory costs a page fault for every 4096 bytes at its first use, which takes as long as a sum of
small multiples itself.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

#: Arrays begin at multiples of this many bytes: a cache line.
ALIGNMENT = 64


def aligned(shape: tuple[int, ...], dtype: DTypeLike = np.uint64) -> NDArray[Any]:
    """An uninitialised array that begins at a multiple of ALIGNMENT."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    block = np.empty(size + ALIGNMENT, np.uint8)
    offset = -block.ctypes.data % ALIGNMENT
    return block[offset : offset + size].view(dtype).reshape(shape)


class Arena(threading.local):
    """A thread's arrays by name. Each grows to the largest that was asked for, and is then kept."""

    def __init__(self) -> None:
        self._blocks: dict[str, NDArray[np.uint8]] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: DTypeLike = np.uint64) -> NDArray[Any]:
        """An array of any contents, aligned, valid until the same thread asks for this name again."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        block = self._blocks.get(name)
        if block is None or len(block) < size:
            self._blocks.pop(name, None)
            block = self._blocks[name] = aligned((size,), np.uint8)
        return block[:size].view(dtype).reshape(shape)


#: The calling thread's arrays.
ARENA = Arena()
