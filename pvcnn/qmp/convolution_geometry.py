"""Where the windows of a convolution lie: what each lowering but eq. (2)'s own needs to know of a gate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvcnn.qmp.matrix_program import ConvolutionProduct

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Axis:
    """Rows or columns: output i and kernel entry d meet input entry S i + d - P, if there is one."""

    size: int
    outputs: int
    kernel: int
    stride: int
    padding: int

    def met(self) -> tuple[Integers, NDArray[np.bool_]]:
        """(outputs, kernel): the input entry, and whether it is inside the input."""
        met = self.stride * np.arange(self.outputs)[:, None] + np.arange(self.kernel) - self.padding
        return met, (met >= 0) & (met < self.size)

    def used(self) -> Integers:
        """The input entries that some window meets, ascending."""
        met, inside = self.met()
        return np.unique(met[inside])

    def used_taps(self) -> Integers:
        """The kernel entries that meet an input entry at some output, ascending."""
        return np.flatnonzero(self.met()[1].any(axis=0))

    def reach(self, tap: int) -> tuple[Integers, Integers]:
        """The used input entries of a kernel entry's phase, and the place i with S i + tap = p + P of each:
        an output, or one beyond them, where the window would stick out.
        """
        place, rest = np.divmod(self.used() + self.padding - tap, self.stride)
        return self.used()[rest == 0], place[rest == 0]

    def reached(self) -> Integers:
        """The places that any kernel entry in use reaches, ascending."""
        places = [self.reach(int(tap))[1] for tap in self.used_taps()]
        return np.unique(np.concatenate([np.zeros(0, np.int64), *places]))

    @property
    def pairs(self) -> int:
        """How many pairs of an output and a kernel entry meet an input entry."""
        return int(self.met()[1].sum())


def axes(gate: ConvolutionProduct) -> tuple[Axis, Axis]:
    """Rows and columns."""
    kernel = gate.kernels.shape[2]
    rows, columns = (
        Axis(size, outputs, kernel, gate.stride, gate.padding)
        for size, outputs in zip(gate.inputs.shape[2:], gate.result.shape[2:], strict=True)
    )
    return rows, columns


@dataclass(frozen=True, eq=False)
class Meetings:
    """Every (position, tap) that meets an input entry, sorted by position; arrays of equal length.

    position: flat in (F, Ho, Wo); tap: flat in (C, K, K); entry: flat in (F, C, H, W). All output
    channels meet the same.
    """

    position: Integers
    tap: Integers
    entry: Integers


def meetings(gate: ConvolutionProduct) -> Meetings:
    """All of a gate's, F C times the pairs of rows times the pairs of columns."""
    frames, channels, height, width = gate.inputs.shape
    kernel = gate.kernels.shape[2]
    rows, columns = axes(gate)
    (row, row_inside), (column, column_inside) = rows.met(), columns.met()
    # Axes: f, i, j, c, d, e.
    inside = row_inside[:, None, None, :, None] & column_inside[None, :, None, None, :]
    shape = (frames, rows.outputs, columns.outputs, channels, kernel, kernel)
    f, i, j, c, d, e = np.nonzero(np.broadcast_to(inside, shape))
    return Meetings(
        (f * rows.outputs + i) * columns.outputs + j,
        (c * kernel + d) * kernel + e,
        ((f * channels + c) * height + row[i, d]) * width + column[j, e],
    )
