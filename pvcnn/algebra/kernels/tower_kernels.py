"""Fq12 compiled: decompression, the membership test and the multi-power of pvcnn.algebra.tower.

A kernel works on rows of 96 bytes, like the registers of a machine: a row is an element of Fq2 in
Montgomery form, an element of Fq6 is three rows and one of Fq12 six, in the order of
pvcnn.algebra.tower. `m` is the byte address of row 0; the other arguments are row numbers, destination
first. `t` is the first of the rows that a function may overwrite; a destination may coincide with
an operand, unless the docstring says otherwise.
"""

from __future__ import annotations

from numba import uint64

from pvcnn.algebra.constants import CURVE_PARAMETER
from pvcnn.algebra.kernels.compilation import kernel
from pvcnn.algebra.kernels.fields import (
    DEGREE_TWO,
    add,
    load,
    load_signed,
    load_word,
    multiply,
    square,
    store,
    store_word,
    subtract,
)
from pvcnn.algebra.kernels.inversion import invert

#: The curve's parameter is negative; this has 64 bits.
_NEGATED_PARAMETER = -CURVE_PARAMETER
#: Rows that any function here may overwrite from `t` on.
SCRATCH_ROWS = 48
#: Odd powers a, a^3, .., a^15 that `multi_power` keeps of each element: digits are below 16.
TABLE = 8


@kernel
def add_rows(m: int, d: int, a: int, b: int) -> None:
    store(m + 96 * d, add(load(DEGREE_TWO, m + 96 * a), load(DEGREE_TWO, m + 96 * b)))


@kernel
def subtract_rows(m: int, d: int, a: int, b: int) -> None:
    store(m + 96 * d, subtract(load(DEGREE_TWO, m + 96 * a), load(DEGREE_TWO, m + 96 * b)))


@kernel
def multiply_rows(m: int, d: int, a: int, b: int) -> None:
    store(m + 96 * d, multiply(load(DEGREE_TWO, m + 96 * a), load(DEGREE_TWO, m + 96 * b)))


@kernel
def square_row(m: int, d: int, a: int) -> None:
    store(m + 96 * d, square(load(DEGREE_TWO, m + 96 * a)))


@kernel
def copy_rows(m: int, d: int, a: int, count: int) -> None:
    for i in range(count):
        store(m + 96 * (d + i), load(DEGREE_TWO, m + 96 * (a + i)))


@kernel
def times_xi(m: int, d: int, a: int) -> None:
    """(1 + u) a: v^3 and w^6."""
    c0, c1 = load(DEGREE_TWO, m + 96 * a)
    store(m + 96 * d, (subtract(c0, c1), add(c0, c1)))


@kernel
def conjugate_row(m: int, d: int, a: int) -> None:
    c0, c1 = load(DEGREE_TWO, m + 96 * a)
    store(m + 96 * d, (c0, subtract(subtract(c1, c1), c1)))


@kernel
def same_rows(m: int, a: int, b: int, count: int) -> bool:
    difference = load_word(m + 96 * a) ^ load_word(m + 96 * b)
    for i in range(8, 96 * count, 8):
        difference |= load_word(m + 96 * a + i) ^ load_word(m + 96 * b + i)
    return bool(difference == 0)


@kernel
def cross_product(m: int, d: int, a: int, b: int, i: int, j: int, t: int) -> None:
    """a_i b_j + a_j b_i of two elements of Fq6, from their squares' products at t + i and t + j."""
    add_rows(m, t + 3, a + i, a + j)
    add_rows(m, t + 4, b + i, b + j)
    multiply_rows(m, d, t + 3, t + 4)
    subtract_rows(m, d, d, t + i)
    subtract_rows(m, d, d, t + j)


@kernel
def multiply_fq6(m: int, d: int, a: int, b: int, t: int) -> None:
    """a b in Fq6: six products in Fq2 (Karatsuba)."""
    for i in range(3):
        multiply_rows(m, t + i, a + i, b + i)
    for k in range(3):
        cross_product(m, t + 5 + k, a, b, 1 if k == 0 else 0, 1 if k == 1 else 2, t)
    times_xi(m, t + 5, t + 5)
    add_rows(m, d, t, t + 5)
    times_xi(m, t + 3, t + 2)
    add_rows(m, d + 1, t + 6, t + 3)
    add_rows(m, d + 2, t + 7, t + 1)


@kernel
def multiply_fq12(m: int, d: int, a: int, b: int, t: int) -> None:
    """a b in Fq12: three products in Fq6 (Karatsuba)."""
    multiply_fq6(m, t, a, b, t + 15)
    multiply_fq6(m, t + 3, a + 3, b + 3, t + 15)
    for i in range(3):
        add_rows(m, t + 6 + i, a + i, a + 3 + i)
        add_rows(m, t + 9 + i, b + i, b + 3 + i)
    multiply_fq6(m, t + 12, t + 6, t + 9, t + 15)
    for i in range(3):
        subtract_rows(m, t + 12 + i, t + 12 + i, t + i)
        subtract_rows(m, d + 3 + i, t + 12 + i, t + 3 + i)
    times_xi(m, t + 6, t + 5)
    add_rows(m, d, t, t + 6)
    add_rows(m, d + 1, t + 1, t + 3)
    add_rows(m, d + 2, t + 2, t + 4)


@kernel
def invert_fq6(m: int, d: int, a: int, t: int) -> None:
    """1 / a in Fq6 for a that is not 0: a's adjugate, whose product with a lies in Fq2, over that product."""
    multiply_rows(m, t + 3, a + 1, a + 2)
    multiply_rows(m, t + 4, a, a + 1)
    multiply_rows(m, t + 5, a, a + 2)
    square_row(m, t, a)
    square_row(m, t + 1, a + 2)
    square_row(m, t + 2, a + 1)
    times_xi(m, t + 3, t + 3)
    times_xi(m, t + 1, t + 1)
    for i in range(3):
        subtract_rows(m, t + i, t + i, t + 3 + i)
    multiply_rows(m, t + 3, a + 2, t + 1)
    multiply_rows(m, t + 4, a + 1, t + 2)
    add_rows(m, t + 3, t + 3, t + 4)
    times_xi(m, t + 3, t + 3)
    multiply_rows(m, t + 4, a, t)
    add_rows(m, t + 3, t + 3, t + 4)
    store(m + 96 * (t + 3), invert(load(DEGREE_TWO, m + 96 * (t + 3))))
    for i in range(3):
        multiply_rows(m, d + i, t + i, t + 3)


@kernel
def decompress_fq12(m: int, a: int, one: int, t: int) -> None:
    """The element whose compressed form the first three rows from `a` on hold, into all six.

    Rows one .. + 2 hold the 1 of Fq6.
    """
    multiply_fq6(m, t, a, a, t + 6)
    times_xi(m, t + 2, t + 2)
    subtract_rows(m, t + 3, one, t + 2)
    subtract_rows(m, t + 4, one + 1, t)
    subtract_rows(m, t + 5, one + 2, t + 1)
    invert_fq6(m, t, t + 3, t + 6)
    add_rows(m, t, t, t)
    add_rows(m, t + 1, t + 1, t + 1)
    add_rows(m, t + 2, t + 2, t + 2)
    multiply_fq6(m, a + 3, a, t, t + 6)
    subtract_rows(m, a, t, one)
    copy_rows(m, a + 1, t + 1, 2)


@kernel
def square_fq4(m: int, d: int, a: int, b: int) -> None:
    """(a + b y)^2 for y^2 = 1 + u, into rows d and d + 1; d + 2 is overwritten, no overlap."""
    square_row(m, d, a)
    square_row(m, d + 2, b)
    add_rows(m, d + 1, a, b)
    square_row(m, d + 1, d + 1)
    subtract_rows(m, d + 1, d + 1, d)
    subtract_rows(m, d + 1, d + 1, d + 2)
    times_xi(m, d + 2, d + 2)
    add_rows(m, d, d, d + 2)


@kernel
def three_times_and_twice(m: int, d: int, product: int, a: int, sign: int) -> None:
    """d = 3 product + 2 sign a for sign = 1 or -1; `product` must not be d."""
    if sign > 0:
        add_rows(m, d, product, a)
    else:
        subtract_rows(m, d, product, a)
    add_rows(m, d, d, d)
    add_rows(m, d, d, product)


@kernel
def square_cyclotomic(m: int, d: int, a: int, t: int) -> None:
    """a^2 for a of the cyclotomic subgroup, as in `tower.cyclotomic_square`."""
    square_fq4(m, t, a, a + 4)
    square_fq4(m, t + 3, a + 3, a + 2)
    square_fq4(m, t + 6, a + 1, a + 5)
    times_xi(m, t + 7, t + 7)
    three_times_and_twice(m, d, t, a, -1)
    three_times_and_twice(m, d + 1, t + 3, a + 1, -1)
    three_times_and_twice(m, d + 2, t + 6, a + 2, -1)
    three_times_and_twice(m, d + 3, t + 7, a + 3, 1)
    three_times_and_twice(m, d + 4, t + 1, a + 4, 1)
    three_times_and_twice(m, d + 5, t + 4, a + 5, 1)


@kernel
def conjugate_fq12(m: int, d: int, a: int) -> None:
    """a^(q^6): the inverse within the cyclotomic subgroup."""
    copy_rows(m, d, a, 3)
    for i in range(3, 6):
        value = load(DEGREE_TWO, m + 96 * (a + i))
        store(m + 96 * (d + i), subtract(subtract(value, value), value))


@kernel
def frobenius_fq12(m: int, d: int, a: int, coefficients: int) -> None:
    """a^q; rows coefficients .. + 5 hold what each row is multiplied by."""
    for i in range(6):
        conjugate_row(m, d + i, a + i)
        multiply_rows(m, d + i, d + i, coefficients + i)


@kernel
def scale_rows(m: int, d: int, factor: int, count: int) -> None:
    """Multiplies `count` rows by the row `factor`: into Montgomery form and out of it."""
    for i in range(count):
        multiply_rows(m, d + i, d + i, factor)


@kernel
def is_member(m: int, a: int, coefficients: int, t: int) -> bool:
    """Whether a, not zero, satisfies eq. (19) of docs/protocol.md."""
    twice, raised, free = t, t + 6, t + 12
    frobenius_fq12(m, raised, a, coefficients)
    frobenius_fq12(m, twice, raised, coefficients)
    frobenius_fq12(m, free, twice, coefficients)
    frobenius_fq12(m, raised, free, coefficients)
    multiply_fq12(m, raised, raised, a, free)
    if not same_rows(m, raised, twice, 6):
        return False
    copy_rows(m, raised, a, 6)
    for i in range(62, -1, -1):
        square_cyclotomic(m, raised, raised, free)
        if (_NEGATED_PARAMETER >> uint64(i)) & uint64(1):
            multiply_fq12(m, raised, raised, a, free)
    conjugate_fq12(m, raised, raised)
    frobenius_fq12(m, twice, a, coefficients)
    return same_rows(m, raised, twice, 6)


@kernel
def decompress_members(
    out: int, m: int, elements: int, count: int, one: int, coefficients: int, t: int
) -> None:
    """Decompresses `count` elements in place, and writes to out for each whether it is a member: 1 or 0."""
    for i in range(count):
        decompress_fq12(m, elements + 6 * i, one, t)
        member = is_member(m, elements + 6 * i, coefficients, t)
        store_word(out + 8 * i, uint64(1) if member else uint64(0))


@kernel
def multi_power(
    m: int, d: int, elements: int, count: int, digits: int, length: int, tables: int, t: int
) -> None:
    """d, which holds 1, becomes prod_i elements[i]^(sum_j digits[i, j] 2^j).

    digits: address of a (count, length) array of int64, each 0 or odd and below 2 TABLE in size.
    tables: the first of 6 TABLE count rows that are overwritten.
    """
    for i in range(count):
        first = tables + 6 * TABLE * i
        copy_rows(m, first, elements + 6 * i, 6)
        square_cyclotomic(m, t, first, t + 6)
        for k in range(1, TABLE):
            multiply_fq12(m, first + 6 * k, first + 6 * (k - 1), t, t + 6)
    for j in range(length - 1, -1, -1):
        square_cyclotomic(m, d, d, t)
        for i in range(count):
            digit = load_signed(digits + 8 * (i * length + j))
            first = tables + 6 * TABLE * i
            if digit > 0:
                multiply_fq12(m, d, d, first + 6 * (digit >> 1), t)
            elif digit < 0:
                conjugate_fq12(m, t, first + 6 * (-digit >> 1))
                multiply_fq12(m, d, d, t, t + 6)
