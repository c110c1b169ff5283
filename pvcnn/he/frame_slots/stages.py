"""The owner's blocks on a batch: integer weights, biases in their slots, and the rows that a sum reaches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvcnn.he.context import EncryptionContext
from pvcnn.he.frame_slots.blocks import Block
from pvcnn.he.frame_slots.chains import Chain, Scales, integer_weights
from pvcnn.he.frame_slots.kernels import window_sums
from pvcnn.he.frame_slots.plan import FrameSlotsPlan
from pvcnn.he.residues import Residues
from pvcnn.he.streams import coefficients

#: A row of ciphertexts, (channels * columns, 2, primes, degree).
RowOf = Callable[[int], Residues]


class KeptRows:
    """Rows that are asked for in ascending order, some of them by two rows of outputs: each is made once."""

    def __init__(self, make: RowOf, kept: int) -> None:
        """`kept` rows are remembered: one less than a kernel has, for those are shared by two windows."""
        self._make = make
        self._limit = kept
        self._kept: dict[int, Residues] = {}

    def __call__(self, number: int) -> Residues:
        if number not in self._kept:
            self._kept[number] = self._make(number)
            while len(self._kept) > self._limit:
                del self._kept[min(self._kept)]
        return self._kept[number]


@dataclass(frozen=True, eq=False)
class Stage:
    """A block with its place in the chain.

    weights      (filters, terms) float64, integers; secret, as the biases are
    biases       (filters, primes, degree), at the scale of the weighted sums, in the slots that are used
    taps         (positions, terms): where a patch has the terms of each weighted sum of a window
    moduli       the data primes that are left before the block
    dropped      how many of them its outputs are rescaled by
    total_scale  of its outputs before that
    """

    block: Block
    weights: NDArray[np.float64]
    biases: Residues
    taps: NDArray[np.int64]
    moduli: NDArray[np.int64]
    dropped: int
    total_scale: float

    @property
    def primes(self) -> int:
        return len(self.moduli)

    @property
    def shared_rows(self) -> int:
        """Rows of inputs that two neighbouring rows of outputs reach."""
        return max(1, int(self.block.weight.shape[2]) - 1)

    def sums(self, row_of: RowOf, row: int) -> Residues:
        """(channels * columns, 2 or 3, primes, degree): one row of outputs, not rescaled."""
        values, patches = self._patches(row_of, row)
        filters, columns = len(self.weights), len(patches)
        components, degree = (3 if self.block.squares else 2), self.biases.shape[-1]
        out = np.empty((columns, filters, components, self.primes, degree), np.uint64)
        window_sums(
            values, patches, self.taps, self.weights, self.biases, self.moduli, self.block.squares, out
        )
        return out.transpose(1, 0, 2, 3, 4).reshape(filters * columns, components, self.primes, degree)

    def _patches(self, row_of: RowOf, row: int) -> tuple[Residues, NDArray[np.int64]]:
        """All ciphertexts that a row of outputs needs, zero first, and for each output their places there."""
        block = self.block
        channels, height, width = block.input_shape
        reach = block.size + block.weight.shape[2] - 1, block.size + block.weight.shape[3] - 1
        top = row * block.size - block.padding
        inside = [i for i in range(reach[0]) if 0 <= top + i < height]
        count = channels * width
        values = np.zeros((1 + len(inside) * count, 2, self.primes, self.biases.shape[-1]), np.uint64)
        places = np.zeros((channels, reach[0], width + 2 * block.padding), np.int64)
        for number, i in enumerate(inside):
            first = 1 + number * count
            values[first : first + count] = row_of(top + i)
            own = first + np.arange(count).reshape(channels, width)
            places[:, i, block.padding : block.padding + width] = own
        starts = [x * block.size for x in range(block.output_shape[2])]
        return values, np.stack([places[:, :, x : x + reach[1]].ravel() for x in starts])


def stages(
    context: EncryptionContext,
    plan: FrameSlotsPlan,
    chain: Sequence[Block],
    found: Chain,
    scales: Scales,
    used: NDArray[np.bool_],
) -> list[Stage]:
    """The blocks of a tile, ready to be evaluated where `used` (slots,) are."""
    made = []
    for index, block in enumerate(chain):
        moduli = plan.data_moduli[: found.primes_before(index)]
        made.append(
            Stage(
                block,
                integer_weights(block, found.weight_bits[index])
                .reshape(len(block.weight), -1)
                .astype(np.float64),
                _biases(context, plan, block, len(moduli), scales.sum[index], used),
                _taps(block),
                np.array(moduli, np.int64),
                len(found.dropped[index]),
                scales.total[index],
            )
        )
    return made


def _biases(
    context: EncryptionContext,
    plan: FrameSlotsPlan,
    block: Block,
    primes: int,
    scale: float,
    used: NDArray[np.bool_],
) -> Residues:
    encoded = [context.encode(np.where(used, bias, 0.0), primes, scale) for bias in block.bias]
    return np.stack([coefficients(plaintext, (primes, plan.degree)) for plaintext in encoded])


def _taps(block: Block) -> NDArray[np.int64]:
    """A patch is (channels, rows, columns), all that a window reaches."""
    _, channels, height, width = block.weight.shape
    reach = block.size + height - 1, block.size + width - 1
    c, i, j = np.indices((channels, height, width)).reshape(3, 1, -1)
    a, b = np.indices((block.size, block.size)).reshape(2, -1, 1)
    taps: NDArray[np.int64] = ((c * reach[0] + a + i) * reach[1] + b + j).astype(np.int64)
    return taps
