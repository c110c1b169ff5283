"""Slots, masks and rotations, played through on plain vectors."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pvcnn.he.packing import TAPS, Grid, OutputLayout

SLOTS = 64


def rotate(values: NDArray[np.float64], step: int) -> NDArray[np.float64]:
    """What rotating by `step` does to the slots."""
    return np.roll(values, -step)


def spread(grid: Grid, image: NDArray[np.float64]) -> NDArray[np.float64]:
    """The image in its slots and garbage everywhere else."""
    slots = np.full(SLOTS, 1e6)
    slots[grid.slots()] = image
    return slots


@pytest.mark.parametrize("grid", [Grid(5, 7, 7), Grid(8, 8, 8), Grid(2, 3, 7, 2), Grid(2, 2, 8, 4)])
def test_taps_are_zero_padded_neighbours(grid: Grid) -> None:
    image = np.random.default_rng(0).random((grid.rows, grid.columns))
    padded = np.pad(image, 1)
    for down, right in TAPS:
        moved = rotate(spread(grid, image), grid.step(down, right)) * grid.tap_mask(down, right, SLOTS)
        shifted = padded[1 + down : 1 + down + grid.rows, 1 + right : 1 + right + grid.columns]
        np.testing.assert_array_equal(moved[grid.slots()], shifted)
        assert np.count_nonzero(moved) <= grid.rows * grid.columns


@pytest.mark.parametrize(("grid", "size"), [(Grid(8, 8, 8), 4), (Grid(5, 7, 7), 2), (Grid(3, 3, 7, 2), 2)])
def test_pooling_steps_sum_windows(grid: Grid, size: int) -> None:
    image = np.random.default_rng(1).random((grid.rows, grid.columns))
    values = spread(grid, image)
    for step in grid.pooling_steps(size):
        values = values + rotate(values, step)
    pooled = grid.pooled(size)
    windows = image[: pooled.rows * size, : pooled.columns * size]
    sums = windows.reshape(pooled.rows, size, pooled.columns, size).sum((1, 3))
    np.testing.assert_allclose(values[pooled.slots()], sums)


@pytest.mark.parametrize(
    ("grid", "channels", "capacity"),
    [
        (Grid(2, 2, 8, 4), 32, 32),
        (Grid(4, 4, 4), 7, 8),  # no gaps: whole frames side by side
        (Grid(2, 2, 4, 2), 21, 32),  # both
        (Grid(2, 3, 7, 2), 9, 16),
    ],
)
def test_outputs_never_overlap(grid: Grid, channels: int, capacity: int) -> None:
    layout = OutputLayout(grid, channels, SLOTS)
    assert layout.capacity == capacity
    slots = layout.slots()
    assert slots.shape == ((channels + 1) // 2, grid.rows, grid.columns)
    assert len(set(slots.ravel().tolist())) == slots.size
    assert slots.min() >= 0
    assert slots.max() < SLOTS


def test_gathering_separates_real_and_imaginary_parts() -> None:
    layout = OutputLayout(Grid(2, 2, 8, 4), 3, SLOTS)
    outputs = np.random.default_rng(2).random((3, 2, 2))
    slots = np.full(SLOTS, 1e6 + 1e6j)
    slots[layout.slots()] = [outputs[0] + 1j * outputs[1], outputs[2] + 1e6j]
    np.testing.assert_array_equal(layout.gather(slots), outputs)


def test_only_steps_that_are_used_are_listed() -> None:
    assert OutputLayout(Grid(16, 16, 64, 4), 12, 4096).steps() == [-64, -1]
    assert OutputLayout(Grid(16, 16, 64, 4), 2, 4096).steps() == []
    assert OutputLayout(Grid(16, 16, 16), 3, 4096).steps() == [-256]
