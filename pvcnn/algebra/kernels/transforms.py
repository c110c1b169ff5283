"""Kernels of the number-theoretic transform over F_r."""

from __future__ import annotations

from pvcnn.algebra.kernels.compilation import kernel
from pvcnn.algebra.kernels.fields import add, load_scalar, multiply, store, subtract


@kernel
def decimate_once(values: int, roots: int, block: int, stride: int, first: int, stop: int) -> None:
    """Butterflies number first to stop of the level whose blocks have `block` elements.

    Butterfly b takes x, y half a block apart to x + y and (x - y) w^j, with j = b mod block/2 and
    w^j the element stride * j of `roots`.
    """
    half = block // 2
    index = first
    while index < stop:
        at = index % half
        run = min(half - at, stop - index)
        low = values + 32 * ((index // half) * block + at)
        high = low + 32 * half
        root = roots + 32 * stride * at
        for _ in range(run):
            x, y = load_scalar(low), load_scalar(high)
            store(low, add(x, y))
            store(high, multiply(subtract(x, y), load_scalar(root)))
            low += 32
            high += 32
            root += 32 * stride
        index += run


@kernel
def decimate(values: int, roots: int, size: int, stride: int, blocks: int) -> None:
    """All levels within each of `blocks` consecutive blocks of `size` elements, one block at a time."""
    for number in range(blocks):
        start = values + 32 * size * number
        block, step = size, stride
        while block > 1:
            decimate_once(start, roots, block, step, 0, size // 2)
            block //= 2
            step *= 2


@kernel
def reverse_bits(out: int, values: int, bits: int, first: int, stop: int) -> None:
    """out[i] = values[i with its `bits` bits reversed] for first <= i < stop."""
    for index in range(first, stop):
        reversed_index = 0
        for bit in range(bits):
            reversed_index |= ((index >> bit) & 1) << (bits - 1 - bit)
        store(out + 32 * index, load_scalar(values + 32 * reversed_index))
