"""Where values lie in the slots of a ciphertext, and the rotations that move them.

A frame lies row by row in the first height x width slots, one channel per ciphertext. Layers leave
values where they are: pooling only widens the gap between the values that count, and everything in
between is garbage until the final mask zeroes it. The outputs of all channels are then interleaved
into those gaps (multiplexed packing, Lee et al., ICML 2022), two channels to a slot, so that one
ciphertext carries them.

Rotating by a step moves the value of slot i + step to slot i, cyclically over all slots.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: The taps of a 3x3 kernel as (row, column) offsets, in the order of a weight's last two axes.
TAPS = tuple((d, e) for d in (-1, 0, 1) for e in (-1, 0, 1))


@dataclass(frozen=True)
class Grid:
    """The slots of one channel: entry (i, j) is in slot gap * (pitch * i + j)."""

    rows: int
    columns: int
    pitch: int
    gap: int = 1

    def slots(self) -> NDArray[np.int64]:
        """(rows, columns) slot numbers."""
        i, j = np.indices((self.rows, self.columns))
        return self.gap * (self.pitch * i + j)

    def step(self, down: int, right: int) -> int:
        """The rotation that brings every entry's neighbour (i + down, j + right) to its place."""
        return self.gap * (self.pitch * down + right)

    def tap_mask(self, down: int, right: int, slot_count: int) -> NDArray[np.float64]:
        """(slot_count,): 1 at entries whose neighbour lies inside the grid, 0 at all other slots.

        This is zero padding, and it is also what keeps garbage between the entries, and values that
        a rotation wrapped around, out of a convolution.
        """
        i, j = np.indices((self.rows, self.columns))
        inside = (i + down >= 0) & (i + down < self.rows) & (j + right >= 0) & (j + right < self.columns)
        mask = np.zeros(slot_count)
        mask[self.slots()[inside]] = 1.0
        return mask

    def mask(self, slot_count: int) -> NDArray[np.float64]:
        """(slot_count,): 1 at entries, 0 elsewhere."""
        return self.tap_mask(0, 0, slot_count)

    def pooled(self, size: int) -> Grid:
        """The grid of the means over size x size windows; rows and columns left over are dropped."""
        return Grid(self.rows // size, self.columns // size, self.pitch, self.gap * size)

    def pooling_steps(self, size: int) -> list[int]:
        """Rotations that, each followed by an addition, sum windows of a power-of-two size."""
        doublings = [1 << k for k in range(size.bit_length() - 1)]
        return [self.step(0, d) for d in doublings] + [self.step(d, 0) for d in doublings]


@dataclass(frozen=True)
class OutputLayout:
    """The outputs of all channels in one ciphertext.

    Two channels share slots, one as real and one as imaginary part. Pair k is moved right to its place:
    first along a row of a gap, then down the rows of a gap, then by whole frames where the slots hold
    several.
    """

    grid: Grid
    channels: int
    slot_count: int

    @property
    def pairs(self) -> int:
        return (self.channels + 1) // 2

    @property
    def capacity(self) -> int:
        """How many channels fit."""
        return 2 * self.grid.gap**2 * (self.slot_count // self._area)

    @property
    def _area(self) -> int:
        return self.grid.pitch * self.grid.rows * self.grid.gap

    def place(self, pair: int) -> tuple[int, int, int]:
        """(frame, row, column) of a pair: the frame's copy and the position in every gap."""
        frame, position = divmod(pair, self.grid.gap**2)
        return frame, *divmod(position, self.grid.gap)

    def unit_steps(self) -> tuple[int, int, int]:
        """The rotations that move everything right by one frame, one row, one column."""
        return -self._area, -self.grid.pitch, -1

    def steps(self) -> list[int]:
        """Those of `unit_steps` that placing the pairs needs."""
        places = [self.place(k) for k in range(self.pairs)]
        return [s for axis, s in enumerate(self.unit_steps()) if any(place[axis] for place in places)]

    def slots(self) -> NDArray[np.int64]:
        """(pairs, rows, columns) slot numbers."""
        units = self.unit_steps()
        offsets = [-sum(u * p for u, p in zip(units, self.place(k), strict=True)) for k in range(self.pairs)]
        return np.array(offsets)[:, None, None] + self.grid.slots()

    def gather(self, slots: NDArray[np.complex128]) -> NDArray[np.float64]:
        """(channels, rows, columns) outputs of (slot_count,) decrypted slots."""
        pairs = slots[self.slots()]
        parts = np.stack([pairs.real, pairs.imag], axis=1)
        return parts.reshape(-1, *pairs.shape[1:])[: self.channels]
