"""Where the windows of a convolution lie: what the lowerings need to know of a gate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pvcnn.qmp.matrix_program import ConvolutionProduct

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Axis:
    """Rows or columns: output i and kernel entry d meet entry S i + D d - P of `size`, if there is one.

    met: (outputs, kernel), that entry, or -1 for padding. padding: P, that before the first entry.
    """

    size: int
    stride: int
    dilation: int
    padding: int
    met: Integers

    @property
    def outputs(self) -> int:
        return len(self.met)

    @property
    def kernel(self) -> int:
        return int(self.met.shape[1])

    @property
    def offsets(self) -> Integers:
        """D d: how far each kernel entry is from the first."""
        return self.dilation * np.arange(self.kernel)

    @cached_property
    def used(self) -> Integers:
        """The input entries that some window meets, ascending."""
        return np.unique(self.met[self.met >= 0])

    @cached_property
    def used_taps(self) -> Integers:
        """The kernel entries that meet an input entry at some output, ascending."""
        return np.flatnonzero((self.met >= 0).any(axis=0))

    def reach(self, tap: int) -> tuple[Integers, Integers]:
        """The used input entries p of a kernel entry's phase, and the place i of each, S i + D tap = p + P:
        an output, or one beyond them, where the window would stick out.
        """
        place, rest = np.divmod(self.used + self.padding - self.dilation * tap, self.stride)
        return self.used[rest == 0], place[rest == 0]

    def reached(self) -> Integers:
        """The places that any kernel entry in use reaches, ascending."""
        places = [self.reach(int(tap))[1] for tap in self.used_taps]
        return np.unique(np.concatenate([np.zeros(0, np.int64), *places]))

    @property
    def pairs(self) -> int:
        """How many pairs of an output and a kernel entry meet an input entry."""
        return int((self.met >= 0).sum())


def axes(gate: ConvolutionProduct) -> tuple[Axis, Axis]:
    """Rows and columns."""
    windows = gate.windows
    rows, columns = (
        Axis(
            size,
            windows.stride[axis],
            windows.dilation[axis],
            windows.padding[2 * axis],
            windows.met(axis, outputs, size),
        )
        for axis, (size, outputs) in enumerate(zip(gate.inputs.shape[2:], gate.result.shape[2:], strict=True))
    )
    return rows, columns


@dataclass(frozen=True, eq=False)
class Meetings:
    """Every (position, tap) that meets an input entry, sorted by position; arrays of equal length.

    position: flat in (F, Ho, Wo); tap: flat in (channels, Kh, Kw); entry: flat in (F, C, H, W).
    """

    position: Integers
    tap: Integers
    entry: Integers


def meetings(gate: ConvolutionProduct, channels: int) -> Meetings:
    """Those of the first `channels` input channels: F channels times the pairs of rows and of columns."""
    frames, all_channels, height, width = gate.inputs.shape
    rows, columns = axes(gate)
    # Axes: f, i, j, c, d, e.
    inside = (rows.met >= 0)[:, None, None, :, None] & (columns.met >= 0)[None, :, None, None, :]
    shape = (frames, rows.outputs, columns.outputs, channels, rows.kernel, columns.kernel)
    f, i, j, c, d, e = np.nonzero(np.broadcast_to(inside, shape))
    return Meetings(
        (f * rows.outputs + i) * columns.outputs + j,
        (c * rows.kernel + d) * columns.kernel + e,
        ((f * all_channels + c) * height + rows.met[i, d]) * width + columns.met[j, e],
    )
