"""Frames, and tiles of frames, in slots.

Fewer frames than slots leave room: frames are then cut into tiles, as many as fit, and slot (t, k) holds
tile t of frame k. A tile comes with the neighbouring pixels that its weighted sums reach, zeros
beyond the frame, so slots still never meet; the neighbours are what it costs. Ciphertext i holds pixel i of
all tiles, and there are as many fewer of them as there are more tiles.

A second convolution would see, beyond the frame, what the first makes of its padding instead of zeros: only
private parts whose one convolution comes first, and keeps the frame's size, are cut into tiles.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pvcnn.he.frame_slots.blocks import Block, Shape3

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Tiling:
    """frames in a batch; rows x columns tiles in each; a tile's inputs and outputs.

    pitch    rows and columns of a frame from one tile to the next, equal to what a tile has of its own
    margin   neighbouring pixels on every side of a tile
    """

    frames: int
    rows: int
    columns: int
    pitch: tuple[int, int]
    margin: int
    input_shape: Shape3
    output_shape: Shape3

    @property
    def slots(self) -> int:
        """Slots that hold something."""
        return self.frames * self.rows * self.columns

    @property
    def ciphertexts(self) -> int:
        return math.prod(self.input_shape)

    def slots_of(self, places: Collection[int], slot_count: int) -> NDArray[np.bool_]:
        """(slot_count,) which slots hold the frames in these places of the batch, counted from 0."""
        found = np.zeros(slot_count, np.bool_)
        found[: self.slots].reshape(-1, self.frames)[:, sorted(places)] = True
        return found

    def cut(self, frames: Floats) -> Floats:
        """(channels, rows, columns, slots) of a batch (frames, channels, rows, columns)."""
        _, height, width = self.input_shape
        down, right = self.pitch
        below = max(0, (self.rows - 1) * down + height - self.margin - frames.shape[2])
        beside = max(0, (self.columns - 1) * right + width - self.margin - frames.shape[3])
        padded = np.pad(frames, ((0, 0), (0, 0), (self.margin, below), (self.margin, beside)))
        tiles = [
            padded[:, :, i * down : i * down + height, j * right : j * right + width]
            for i in range(self.rows)
            for j in range(self.columns)
        ]
        return np.concatenate(tiles).transpose(1, 2, 3, 0)

    def join(self, slots: Floats) -> Floats:
        """(frames, channels, rows, columns) of a batch's outputs (channels, rows, columns, slots)."""
        channels, height, width, _ = slots.shape
        grid = slots.reshape(channels, height, width, self.rows, self.columns, self.frames)
        joined = grid.transpose(5, 0, 3, 1, 4, 2)
        return joined.reshape(self.frames, channels, self.rows * height, self.columns * width)


def tiled(chain: tuple[Block, ...], tiling: Tiling) -> tuple[Block, ...]:
    """The blocks as they work on a tile: its margin takes the place of padding."""
    if tiling.rows * tiling.columns == 1:
        return chain
    shape, found = tiling.input_shape, []
    for block in chain:
        found.append(replace(block, padding=0, input_shape=shape))
        shape = found[-1].output_shape
    return tuple(found)


def tilings(chain: tuple[Block, ...], frames: int, slot_count: int) -> Iterator[Tiling]:
    """All that the slots have room for; none, if the frames alone exceed them."""
    first, output = chain[0], chain[-1].output_shape
    if frames <= slot_count:
        whole = first.input_shape
        yield Tiling(frames, 1, 1, whole[1:], 0, whole, output)
    reaches_alike = first.weight.shape[2] == 2 * first.padding + 1
    if first.is_exact or not reaches_alike or not all(block.is_exact for block in chain[1:]):
        return
    size = math.prod(block.size for block in chain)
    margin = first.padding
    for rows in _divisors(output[1]):
        for columns in _divisors(output[2]):
            if rows * columns > 1 and frames * rows * columns <= slot_count:
                own = output[1] // rows, output[2] // columns
                pitch = own[0] * size, own[1] * size
                shape = first.input_shape[0], pitch[0] + 2 * margin, pitch[1] + 2 * margin
                yield Tiling(frames, rows, columns, pitch, margin, shape, (output[0], *own))


def fewest_ciphertexts(chain: tuple[Block, ...], frames: int, slot_count: int) -> Tiling:
    """The tiling that sends least, up and then down. Raises ValueError if the frames exceed the slots."""
    return min(
        tilings(chain, frames, slot_count),
        key=lambda tiling: (tiling.ciphertexts, math.prod(tiling.output_shape)),
    )


def _divisors(number: int) -> list[int]:
    return [d for d in range(1, number + 1) if number % d == 0]
