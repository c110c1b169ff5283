"""Integer matrices on vectors over F_r through float64: against Python's integers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pvcnn.algebra import integer_maps, scalars
from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.algebra.integer_maps import apply_integer_map
from pvcnn.algebra.scalars import ScalarVector


def applied(matrix: NDArray[np.int64], values: ScalarVector) -> list[int]:
    gain = int(np.abs(matrix).sum(axis=1).max(initial=0))
    result = apply_integer_map(lambda batch: batch @ matrix.T.astype(np.float64), gain, len(matrix), values)
    return scalars.to_integers(result)


@pytest.mark.parametrize("peak", [1, 127, 1 << 15, 1 << 40, 1 << 49])
@pytest.mark.parametrize("block", [1, 1 << 26])
def test_products_are_exact(peak: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integer_maps, "_BLOCK_BYTES", block)
    matrix = np.random.default_rng(4).integers(-peak, peak + 1, (6, 5))
    values = [0, 1, SCALAR_MODULUS - 1, SCALAR_MODULUS // 2, 3**150]
    expected = [sum(int(m) * v for m, v in zip(row, values, strict=True)) % SCALAR_MODULUS for row in matrix]
    assert applied(matrix, scalars.from_integers(values)) == expected


def test_largest_limbs_of_one_sign() -> None:
    """Every limb as large as the modulus lets it be, and every sum of one sign: the most that is added."""
    words = np.full((4, 4), (1 << 64) - 1, np.uint64)
    words[:, 3] = (SCALAR_MODULUS >> 192) - 1
    values = scalars.to_integers(words)
    for sign in (1, -1):
        matrix = np.full((2, 4), sign * 127)
        assert applied(matrix, words) == [sign * 127 * sum(values) % SCALAR_MODULUS] * 2


def test_nothing_comes_of_nothing() -> None:
    assert applied(np.zeros((0, 3), np.int64), scalars.zeros(3)) == []


def test_no_room_for_limbs() -> None:
    with pytest.raises(ValueError, match="no room"):
        apply_integer_map(lambda batch: batch, 1 << 53, 1, scalars.zeros(1))


def test_arguments_are_left_alone() -> None:
    values = scalars.from_integers([5, 7])
    before = values.copy()
    assert scalars.to_integers(apply_integer_map(lambda batch: batch, 1, 2, values)) == [5, 7]
    assert (values == before).all()
