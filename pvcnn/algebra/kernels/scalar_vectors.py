"""Elementwise kernels over vectors of F_r: 32 bytes an element, `count` of them, at byte addresses."""

from __future__ import annotations

from typing import Final

from numba import uint64

from pvcnn.algebra.kernels.compilation import kernel
from pvcnn.algebra.kernels.fields import (
    add,
    load_scalar,
    load_signed,
    load_word,
    multiply,
    scalar_one,
    scalar_radix,
    scalar_unit_words,
    scalar_zero,
    store,
    subtract,
    sum_plus_multiple,
    sum_zero,
)
from pvcnn.algebra.kernels.sparse_rows import reduce_sum

#: How many running products `running_products` makes: as many as its last elements.
CHAINS: Final = 1


@kernel
def add_vectors(out: int, left: int, right: int, count: int) -> None:
    for i in range(0, 32 * count, 32):
        store(out + i, add(load_scalar(left + i), load_scalar(right + i)))


@kernel
def subtract_vectors(out: int, left: int, right: int, count: int) -> None:
    for i in range(0, 32 * count, 32):
        store(out + i, subtract(load_scalar(left + i), load_scalar(right + i)))


@kernel
def multiply_vectors(out: int, left: int, right: int, count: int) -> None:
    for i in range(0, 32 * count, 32):
        store(out + i, multiply(load_scalar(left + i), load_scalar(right + i)))


@kernel
def negate_vector(out: int, values: int, count: int) -> None:
    for i in range(0, 32 * count, 32):
        store(out + i, subtract(scalar_zero(), load_scalar(values + i)))


@kernel
def scale_vector(out: int, values: int, factor: int, count: int) -> None:
    """out = factor values, for the element at address `factor`."""
    constant = load_scalar(factor)
    for i in range(0, 32 * count, 32):
        store(out + i, multiply(constant, load_scalar(values + i)))


@kernel
def enter_montgomery(out: int, integers: int, count: int) -> None:
    """Elements of integers of four words each, any value below 2^256."""
    for i in range(0, 32 * count, 32):
        store(out + i, multiply(scalar_radix(), load_scalar(integers + i)))


@kernel
def leave_montgomery(out: int, values: int, count: int) -> None:
    """The canonical integers of elements, four words each."""
    for i in range(0, 32 * count, 32):
        store(out + i, multiply(load_scalar(values + i), scalar_unit_words()))


@kernel
def from_signed(out: int, integers: int, count: int) -> None:
    """Elements of int64 values."""
    for i in range(count):
        value = load_signed(integers + 8 * i)
        magnitude = uint64(-value) if value < 0 else uint64(value)
        zero = uint64(0)
        element = multiply(scalar_radix(), (magnitude, zero, zero, zero))
        if value < 0:
            element = subtract(scalar_zero(), element)
        store(out + 32 * i, element)


@kernel
def reduce_wide(out: int, entropy: int, count: int) -> None:
    """Elements of integers of eight words each, reduced modulo r."""
    for i in range(count):
        low = multiply(scalar_one(), load_scalar(entropy + 64 * i))
        high = multiply(scalar_radix(), load_scalar(entropy + 64 * i + 32))
        store(out + 32 * i, add(low, high))


@kernel
def power_sequence(out: int, first: int, ratio: int, count: int) -> None:
    """out[i] = first ratio^i, for elements at addresses `first` and `ratio`."""
    element, factor = load_scalar(first), load_scalar(ratio)
    for i in range(0, 32 * count, 32):
        store(out + i, element)
        element = multiply(element, factor)


@kernel
def inner_product(out: int, left: int, right: int, count: int) -> None:
    """Writes sum_i left[i] right[i] to `out`."""
    total = scalar_zero()
    for i in range(0, 32 * count, 32):
        total = add(total, multiply(load_scalar(left + i), load_scalar(right + i)))
    store(out, total)


@kernel
def inner_product_signed(out: int, left: int, integers: int, count: int) -> None:
    """Writes sum_i left[i] integers[i] to `out`, for int64 integers."""
    total = sum_zero()
    for i in range(count):
        total = sum_plus_multiple(total, load_scalar(left + 32 * i), load_signed(integers + 8 * i))
    store(out, reduce_sum(total))


@kernel
def running_products(out: int, values: int, count: int) -> None:
    """out[i] = values[0] ... values[i]: CHAINS = 1 chain."""
    product = scalar_one()
    for i in range(0, 32 * count, 32):
        product = multiply(product, load_scalar(values + i))
        store(out + i, product)


@kernel
def invert_from_products(out: int, values: int, inverses: int, count: int) -> None:
    """Batch inversion's second pass: `out` holds the running products and receives the inverses.

    inverses: address of the last product's inverse.
    """
    inverse = load_scalar(inverses)
    for i in range(32 * (count - 1), 0, -32):
        store(out + i, multiply(inverse, load_scalar(out + i - 32)))
        inverse = multiply(inverse, load_scalar(values + i))
    store(out, inverse)


@kernel
def horner_rows(out: int, values: int, base: int, length: int, count: int) -> None:
    """For each of `count` rows of `length` elements: s_0 = y_0, s_k = s_(k-1) base + y_k."""
    factor = load_scalar(base)
    for row in range(count):
        start = 32 * length * row
        total = scalar_zero()
        for i in range(start, start + 32 * length, 32):
            total = add(multiply(total, factor), load_scalar(values + i))
            store(out + i, total)


@kernel
def first_zero(values: int, count: int) -> int:
    """Index of the first element that is 0, or -1."""
    for i in range(count):
        at = values + 32 * i
        if (load_word(at) | load_word(at + 8) | load_word(at + 16) | load_word(at + 24)) == 0:
            return i
    return -1
