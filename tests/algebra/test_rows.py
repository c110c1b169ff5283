"""Points kept in the layout of the kernels in use serve sums as vectors do, wherever they lie."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pvcnn.algebra import backends, scalars
from pvcnn.algebra.batches import Backend
from pvcnn.algebra.curve import (
    fixed_base_g1,
    fixed_base_g2,
    g1_rows,
    g1_to_points,
    g2_rows,
    msm_g1,
    msm_g2,
)
from pvcnn.algebra.memory import ALIGNMENT
from pvcnn.algebra.repeated import merge_repeated
from pvcnn.algebra.subgroups import g1_in_subgroup

pytestmark = pytest.mark.usefixtures("backend")

both = pytest.mark.parametrize(
    ("degree", "fixed_base", "rows_of", "msm"),
    [(1, fixed_base_g1, g1_rows, msm_g1), (2, fixed_base_g2, g2_rows, msm_g2)],
    ids=["G1", "G2"],
)
Function = Callable[..., Any]


@both
@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 3000])
def test_sums_are_those_of_the_vector(
    backend: Backend, degree: int, fixed_base: Function, rows_of: Function, msm: Function, length: int
) -> None:
    exponents = scalars.random(length)
    exponents[length // 2 : length // 2 + 1] = 0
    vector = fixed_base(exponents)
    rows = rows_of(vector)
    assert rows.shape == (length, backend.row_words(degree))
    small = np.random.default_rng(length).integers(-128, 128, length)
    full = scalars.random(length)
    assert msm(rows, small) == msm(vector, small)
    assert msm(rows, full) == msm(vector, full)
    repeated = full[np.arange(length) // 3]
    assert msm(*merge_repeated(rows, repeated)) == msm(vector, repeated)
    assert msm(*merge_repeated(rows, full)) == msm(vector, full)


@both
def test_rows_that_are_not_aligned_or_not_contiguous(
    degree: int, fixed_base: Function, rows_of: Function, msm: Function
) -> None:
    """What comes out of a pickle or a slice: the kernels on lanes load whole lines."""
    vector = fixed_base(scalars.random(40))
    rows, values = rows_of(vector), scalars.random(40)
    buffer = np.empty(rows.nbytes + 128, np.uint8)
    for shift in (8, 16, 32, 56):
        start = -buffer.ctypes.data % ALIGNMENT + shift
        shifted = buffer[start : start + rows.nbytes].view(np.uint64).reshape(rows.shape)
        shifted[:] = rows
        shifted.flags.writeable = False
        assert shifted.ctypes.data % ALIGNMENT == shift
        assert msm(shifted, values) == msm(vector, values)
        assert msm(*merge_repeated(shifted, values)) == msm(vector, values)
    assert msm(rows[::2], values[::2]) == msm(vector[::2], values[::2])
    assert msm(*merge_repeated(rows[::-1], values)) == msm(vector[::-1], values)


@both
def test_sums_leave_rows_alone(degree: int, fixed_base: Function, rows_of: Function, msm: Function) -> None:
    rows, values = rows_of(fixed_base(scalars.random(3000))), scalars.random(3000)
    before = rows.copy()
    msm(rows, values)
    msm(rows, np.arange(3000))
    merge_repeated(rows, values[np.arange(3000) // 2])
    assert (rows == before).all()


def test_rows_are_checked_for_their_subgroup() -> None:
    assert g1_in_subgroup([g1_rows(fixed_base_g1(scalars.random(9)))])


def test_arrays_of_no_layout_are_refused(backend: Backend) -> None:
    values = scalars.random(3)
    arrays: list[Any] = [
        np.zeros((3, 13), np.uint64),
        np.zeros((3, 16 if backend.layout == "portable" else 20), np.uint64),
        np.zeros((3, 12), np.int64),
        np.zeros(3, np.uint64),
    ]
    for array in arrays:
        for combine in (msm_g1, msm_g2, merge_repeated):
            with pytest.raises(ValueError, match="not a vector of points"):
                combine(array, values)
    rows = g1_rows(fixed_base_g1(values))
    if backend.row_words(1) != 12:
        with pytest.raises(ValueError, match="not a vector of points"):
            g1_to_points(rows)
    with pytest.raises(ValueError, match="not a vector of points"):
        msm_g2(rows, values)


def test_layouts_have_different_names_exactly_if_they_differ(backend: Backend) -> None:
    assert backend is backends.backend()
    assert (backend.layout == "portable") == (backend.row_words(1) == 12)
