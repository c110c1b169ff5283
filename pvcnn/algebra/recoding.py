"""Vectors of scalars as signed digits (pvcnn.algebra.kernels.digits)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.algebra.kernels import digits
from pvcnn.algebra.memory import ARENA
from pvcnn.algebra.scalars import ScalarVector

#: Bits of the largest magnitude of a scalar's representative, (r - 1)/2.
SCALAR_BITS: Final = (SCALAR_MODULUS // 2).bit_length()


@dataclass(frozen=True, eq=False)
class Recoding:
    """n scalars in `windows` digits of `width` bits: magnitudes plus a bias, and signs.

    words: (2 or 4, n) uint64; negative: (n,) bool.
    """

    words: NDArray[np.uint64]
    negative: NDArray[np.bool_]
    windows: int
    width: int

    def digits(self, window: int, out: NDArray[np.int32]) -> NDArray[np.int32]:
        """Digit number `window` of every scalar: (n,) `out`, which it returns."""
        last = window == self.windows - 1
        digits.window_digits(out, self.words, self.negative, window, last, self.width)
        return out


def magnitude_bits(values: ScalarVector | NDArray[np.int64]) -> int:
    """Bits of the largest magnitude that may occur: of int64 values, the largest that does."""
    if values.dtype != np.int64:
        return SCALAR_BITS
    if len(values) == 0:
        return 0
    return max(int(values.max()), -int(values.min())).bit_length()


def window_count(bits: int, width: int) -> int:
    """How many digits magnitudes of so many bits take: signs need one bit more."""
    return -(-(bits + 1) // width)


def recode(values: ScalarVector | NDArray[np.int64], bits: int, width: int) -> Recoding:
    """The digits of scalars or (n,) int64 with magnitudes of at most `bits` bits, in the thread's arena."""
    windows = window_count(bits, width)
    integers = values.dtype == np.int64
    length = 2 if integers else 4
    bias = sum(1 << (width * window + width - 1) for window in range(windows - 1))
    bias_words = np.array([(bias >> (64 * i)) & (2**64 - 1) for i in range(length)], np.uint64)
    words = ARENA.array("words", (length, len(values)))
    negative = ARENA.array("negative", (len(values),), np.bool_)
    kernel = digits.recode_integers if integers else digits.recode_scalars
    source = np.ascontiguousarray(values)
    kernel(words, negative, source.ctypes.data, bias_words)
    return Recoding(words, negative, windows, width)
