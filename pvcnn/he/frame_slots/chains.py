"""Modulus chains of frames in slots, and the scales that follow from them.

Weights are integers, multiples of 2^-w, and a product with one multiplies the scale by 2^w. The scale comes
down once per pooled output, together with the square's: a ciphertext needs the bits of two scales and two
weights, and no prime for the weighted sum itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvcnn.he.frame_slots.blocks import Block

#: Bounds within which `pvcnn.he.frame_slots.kernels` is exact.
MAX_PRIME_BITS = 56
MAX_WEIGHT_SUM = 1 << 24

MIN_PRIME_BITS = 20


@dataclass(frozen=True)
class Chain:
    """Scales and lengths of the data primes for one choice of pixel scale and weight bits.

    weight_bits   per block
    dropped       per block: the lengths of the primes by which its outputs are rescaled
    first_bits    of the prime that is left
    """

    scale_bits: int
    weight_bits: tuple[int, ...]
    dropped: tuple[tuple[int, ...], ...]
    first_bits: int

    @property
    def data_bits(self) -> tuple[int, ...]:
        """In SEAL's order, which drops the last first."""
        return (self.first_bits, *(bits for block in reversed(self.dropped) for bits in reversed(block)))

    def primes_before(self, block: int) -> int:
        """Data primes left before a block; with the number of blocks, at the end."""
        return 1 + sum(map(len, self.dropped[block:]))


@dataclass(frozen=True)
class Scales:
    """For each block those of its inputs, of its weighted sums, of its means and of these once rescaled."""

    entry: tuple[float, ...]
    sum: tuple[float, ...]
    total: tuple[float, ...]
    leaving: tuple[float, ...]


def scales(chain: tuple[Block, ...], found: Chain, data_moduli: tuple[int, ...]) -> Scales:
    """Divided by one prime after the other, in doubles, so that everyone gets the same."""
    scale, primes = 2.0**found.scale_bits, list(data_moduli)
    entry, sums, totals, leaving = [], [], [], []
    for block, bits, dropped in zip(chain, found.weight_bits, found.dropped, strict=True):
        entry.append(scale)
        sums.append(scale * 2.0**bits)
        totals.append((sums[-1] ** 2 if block.squares else sums[-1]) * block.window)
        scale = totals[-1]
        for _ in dropped:
            scale /= primes.pop()
        leaving.append(scale)
    return Scales(tuple(entry), tuple(sums), tuple(totals), tuple(leaving))


def integer_weights(block: Block, weight_bits: int) -> NDArray[np.int64]:
    """(out, in, rows, columns) multiples of 2^-weight_bits.

    A filter of which some output would meet zeros and padding alone gets the smallest weight in the place
    of its first channel's zeros: SEAL refuses a ciphertext that such a filter leaves, as transparent, and
    leaving it out would show, in time, that it is zero.
    """
    integers = np.rint(block.weight * 2.0**weight_bits).astype(np.int64)
    kernel, (_, height, width) = block.weight.shape[2], block.input_shape
    rows, columns = (_least_taps(kernel, block.padding, side) for side in (height, width))
    present = (integers != 0).sum(axis=1)
    met = [present[:, top:bottom, left:right].sum((1, 2)) for top, bottom in rows for left, right in columns]
    bare = np.min(met, axis=0) == 0
    first = integers[bare, 0]
    integers[bare, 0] = np.where(first == 0, 1, first)
    return integers


def _least_taps(kernel: int, padding: int, side: int) -> list[tuple[int, int]]:
    """Of an axis: the spans of taps with which outputs meet the frame, the smallest alone."""
    outputs = range(side + 2 * padding - kernel + 1)
    spans = {(max(0, padding - i), min(kernel, side + padding - i)) for i in outputs}
    return [
        span
        for span in spans
        if not any(span[0] <= other[0] and other[1] <= span[1] for other in spans - {span})
    ]


def make_chain(
    chain: tuple[Block, ...], scale_bits: int, weight_bits: tuple[int, ...], answer_bits: int, headroom: int
) -> Chain | None:
    """Inner blocks come back to the pixels' scale, the last to 2^answer_bits or more; None if none can.

    `headroom` is what the modulus must exceed the scale of the last block's means by.
    """
    dropped: list[tuple[int, ...]] = []
    scale = float(scale_bits)
    for block, bits in zip(chain[:-1], weight_bits, strict=False):
        total = _total(block, scale, bits)
        dropped.append(_equal_lengths(round(total - scale_bits)))
        scale = total - sum(dropped[-1])
    last = math.ceil(_total(chain[-1], scale, weight_bits[-1])) + headroom
    first = max(answer_bits + headroom, last % MAX_PRIME_BITS or MAX_PRIME_BITS)
    if last - first < MIN_PRIME_BITS:
        first = last
    dropped.append(_equal_lengths(last - first))
    lengths = [bits for block in dropped for bits in block]
    if first > MAX_PRIME_BITS or any(bits < MIN_PRIME_BITS for bits in lengths):
        return None
    return Chain(scale_bits, weight_bits, tuple(dropped), first)


def _total(block: Block, scale: float, weight_bits: int) -> float:
    """Log 2 of the scale of the block's means, of which ciphertexts hold sums."""
    return (1 + block.squares) * (scale + weight_bits) + math.log2(block.window)


def _equal_lengths(bits: int) -> tuple[int, ...]:
    """`bits` in as few primes' lengths as there can be; none for less than one of them."""
    if bits < MIN_PRIME_BITS:
        return ()
    count = -(-bits // MAX_PRIME_BITS)
    return tuple(bits // count + (i < bits % count) for i in range(count))
