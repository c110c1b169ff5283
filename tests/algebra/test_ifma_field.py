"""Lazy arithmetic on eight lanes at the edges of its ranges, against Python's integers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pvcnn.algebra.constants import BASE_MODULUS as P
from pvcnn.algebra.constants import SCALAR_MODULUS
from pvcnn.algebra.kernels.compilation import intrinsic, types
from pvcnn.algebra.kernels.ifma.coordinates import BASE_FIELD, CoordinateField
from pvcnn.algebra.kernels.ifma.field import LIMB_BITS, LIMB_MASK, Element, LazyField
from pvcnn.algebra.kernels.selection import Kernels, choose, compiled_features
from pvcnn.algebra.memory import aligned

pytestmark = pytest.mark.skipif(
    choose("auto", compiled_features()) is not Kernels.IFMA, reason="the processor has no AVX-512 IFMA"
)

#: Limbs of 52 bits, eight and, for a field of another size, five.
BASE, SCALAR = BASE_FIELD, LazyField("tested", SCALAR_MODULUS, 5)
U, E = 1 << 364, 1 << 374
LANES = 8
#: Untyped itself.
_njit: Any = numba.njit

Operation = Callable[[Sequence[Sequence[int]]], list[list[int]]]


def compiled(field: LazyField, emit: Callable[..., list[Element]], arity: int, results: int = 1) -> Operation:
    """`emit`, applied to tuples of integers in the limbs that `LazyField.split` gives them."""
    size = 64 * field.limbs

    @intrinsic
    def call(_context: Any, out: Any, operands: Any) -> Any:
        def generate(target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            elements = [field.load(builder, arguments[1], size * i) for i in range(arity)]
            for i, result in enumerate(emit(builder, *elements)):
                field.store(builder, result, arguments[0], size * i)
            return target.get_dummy_value()

        return types.void(types.int64, types.int64), generate

    @_njit  # type: ignore[untyped-decorator]
    def run(out: int, operands: int) -> None:
        call(out, operands)

    def apply(tuples: Sequence[Sequence[int]]) -> list[list[int]]:
        answers: list[list[int]] = []
        for start in range(0, len(tuples), LANES):
            given = list(tuples[start : start + LANES])
            padded = given + [given[0]] * (LANES - len(given))
            operands = aligned((arity, field.limbs, LANES), np.int64)
            out = aligned((results, field.limbs, LANES), np.int64)
            for lane, values in enumerate(padded):
                operands[:, :, lane] = [field.split(value) for value in values]
            run(out.ctypes.data, operands.ctypes.data)
            assert ((out[:, :-1] >= 0) & (out[:, :-1] <= LIMB_MASK)).all(), "not normalised"
            answers += [
                [
                    sum(int(limb) << (LIMB_BITS * i) for i, limb in enumerate(out[k, :, lane]))
                    for k in range(results)
                ]
                for lane in range(len(given))
            ]
        return answers

    return apply


multiply = compiled(BASE, lambda b, x, y: [BASE.multiply(b, x, y)], 2)
square = compiled(BASE, lambda b, x: [BASE.square(b, x)], 1)
sum_of_products = compiled(BASE, lambda b, *f: [BASE.sum_of_products(b, *f)], 4)
scalar_multiply = compiled(SCALAR, lambda b, x, y: [SCALAR.multiply(b, x, y)], 2)
scalar_square = compiled(SCALAR, lambda b, x: [SCALAR.square(b, x)], 1)
subtract = compiled(BASE, lambda b, x, y: [BASE.subtract(b, x, y, 4)], 2)
add = compiled(BASE, lambda b, x, y: [BASE.add(b, x, y)], 2)
raise_twice = compiled(
    BASE,
    lambda b, s, x, y: [
        BASE.raise_if_below(b, BASE.raw_difference(b, BASE.raw_difference(b, s, x), y), (0, -2))
    ],
    3,
)
raise_once = compiled(BASE, lambda b, t, y: [BASE.raise_if_below(b, BASE.raw_difference(b, t, y), (0,))], 2)
reduce_once = compiled(BASE, lambda b, x: [BASE.reduce_once(b, x)], 1)

_EXTENSION = CoordinateField(2)
extension_multiply = compiled(BASE, lambda b, *f: _EXTENSION.multiply(b, list(f[:2]), list(f[2:])), 4, 2)
extension_square = compiled(BASE, lambda b, *f: _EXTENSION.square(b, list(f)), 2, 2)


def patterns(limbs: int, bound: int) -> list[int]:
    """Numbers in [0, bound] whose limbs are as small, as large and as alternating as can be."""
    full = LIMB_MASK
    shapes = [0, 1, 2, full, full - 1, 1 << 51, (1 << 51) - 1, 0x5555555555555, 0xAAAAAAAAAAAAA]
    numbers = {0, 1, bound, bound - 1}
    for even, odd in product(shapes, shapes):
        value = sum((odd if i % 2 else even) << (LIMB_BITS * i) for i in range(limbs))
        numbers |= {value, value % (bound + 1), value % (1 << LIMB_BITS * (limbs - 1))}
    return sorted(number for number in numbers if number <= bound)


FACTORS = [*patterns(8, 8 * P - 1), P - 1, P, P + 1, 2 * P, 4 * P, 7 * P]
EDGES = [-4 * U, -2 * U, -U, -1, 0, 1, U - 1, U, P - 1, P, P + 1, 2 * P - 1, 2 * P, 2 * P + U, 2 * P + 2 * U]


def check_products(field: LazyField, operation: Operation, factors: Sequence[Sequence[int]]) -> None:
    """(a b + c d + ..) / R: congruent, and no more than p above the quotient."""
    inverse = pow(field.radix, -1, field.modulus)
    for terms, (result,) in zip(factors, operation(factors), strict=True):
        exact = sum(a * b for a, b in zip(terms[::2], terms[1::2], strict=True))
        assert result % field.modulus == exact * inverse % field.modulus
        assert 0 <= result < field.modulus + exact / field.radix + 1


def test_products_of_every_pattern() -> None:
    sample = FACTORS[::3] + FACTORS[-8:]
    check_products(BASE, multiply, list(product(sample, sample)))
    largest = 8 * P - 1
    assert multiply([(largest, 2 * largest)])[0][0] < P + E


def test_products_of_the_largest_limbs() -> None:
    """All limbs 2^52 - 1: no column overflows, whatever p leaves of the range."""
    for field, operation in ((BASE, multiply), (SCALAR, scalar_multiply)):
        top = field.radix - 1
        check_products(field, operation, [(top, 1), (1, top), (top, field.modulus), (top, 0)])
        (result,) = operation([(top, top)])[0]
        assert result % field.modulus == pow(field.radix, -1, field.modulus) * top * top % field.modulus
    (result,) = sum_of_products([(BASE.radix - 1,) * 4])[0]
    assert result % P == 2 * (BASE.radix - 1) ** 2 * pow(BASE.radix, -1, P) % P


def test_squares_of_every_pattern() -> None:
    for field, operation, values in (
        (BASE, square, [*FACTORS, 16 * P - 1, BASE.radix - 1]),
        (SCALAR, scalar_square, patterns(5, SCALAR.radix - 1)),
    ):
        inverse = pow(field.radix, -1, field.modulus)
        for value, (result,) in zip(values, operation([(v,) for v in values]), strict=True):
            assert result % field.modulus == value * value * inverse % field.modulus
            assert 0 <= result < field.modulus + value * value / field.radix + 1


@given(
    st.lists(st.tuples(*[st.sampled_from(FACTORS) | st.integers(0, 8 * P - 1)] * 4), min_size=1, max_size=20)
)
@settings(deadline=None, max_examples=50)
def test_sums_of_products(factors: list[tuple[int, int, int, int]]) -> None:
    check_products(BASE, sum_of_products, factors)


@given(
    st.lists(st.tuples(*[st.sampled_from(FACTORS) | st.integers(0, 8 * P - 1)] * 4), min_size=1, max_size=20)
)
@settings(deadline=None, max_examples=50)
def test_the_extension(factors: list[tuple[int, int, int, int]]) -> None:
    inverse = pow(BASE.radix, -1, P)
    for (a0, a1, b0, b1), result in zip(factors, extension_multiply(factors), strict=True):
        assert all(0 <= part < P + E for part in result)
        expected = [a0 * b0 - a1 * b1, a0 * b1 + a1 * b0]
        assert [part % P for part in result] == [part * inverse % P for part in expected]
    squared = extension_square([given[:2] for given in factors])
    for (a0, a1, _, _), result in zip(factors, squared, strict=True):
        assert all(0 <= part < P + E for part in result)
        expected = [a0 * a0 - a1 * a1, 2 * a0 * a1]
        assert [part % P for part in result] == [part * inverse % P for part in expected]


def test_sums_and_differences_at_the_edges() -> None:
    pairs = list(product(EDGES, EDGES))
    for (a, b), (difference,), (total,) in zip(pairs, subtract(pairs), add(pairs), strict=True):
        assert difference == a - b + 4 * P
        assert P < difference < 7 * P
        assert total == a + b


def around(bounds: Sequence[int]) -> list[int]:
    """Numbers at and beside bounds, a limb's carry and a top limb's unit away too."""
    steps = [0, 1, 1 << 52, 1 << 312, U - 1, U, U + 1, 2 * U]
    return sorted({bound + sign * step for bound in bounds for step in steps for sign in (1, -1)})


def test_raising_twice_gives_x() -> None:
    """s^2 - x1 - x2, over all the differences that the ranges of `groups` allow."""
    squares = [0, 1, P - 1, P, P + E]
    sums = [(s, x1, x2) for s in squares for x1 in EDGES for x2 in EDGES]
    sums += [(v + x1 + 3 * U, x1, 3 * U) for v in around([0, -2 * P]) for x1 in (2 * P, 2 * P + 2 * U)]
    for (s, x1, x2), (x3,) in zip(sums, raise_twice(sums), strict=True):
        assert (x3 - (s - x1 - x2)) % P == 0
        assert -4 * U <= x3 <= 2 * P + 2 * U


def test_raising_once_gives_y() -> None:
    ys = [y for y in EDGES if y >= -2 * U]
    differences = [(t, sign) for t in (0, 1, P - 1, P, P + E) for y in ys for sign in (y, 2 * P - y)]
    differences += [(v + 2 * P, 2 * P) for v in around([0]) if v >= -2 * P]
    for (t, y), (y3,) in zip(differences, raise_once(differences), strict=True):
        assert (y3 - (t - y)) % P == 0
        assert -2 * U <= y3 <= 2 * P + 2 * U


def test_reducing_once() -> None:
    values = [0, 1, P - 1, P, P + 1, P + E, 2 * P - 1]
    assert reduce_once([(value,) for value in values]) == [[value % P] for value in values]
