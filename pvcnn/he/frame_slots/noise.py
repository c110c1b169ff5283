"""How large values can get, and the noise and rounding error of frames in slots, block by block.

As `pvcnn.he.precision`, whose terms these are; what differs is that neighbouring pixels' noises meet in
weighted sums and in the windows over them, which a filter's frequency response bounds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvcnn.he.frame_slots.blocks import Block
from pvcnn.he.frame_slots.chains import Scales
from pvcnn.he.precision import NoiseModel

#: Frequencies at which a filter's response is taken, along each axis, and what it may exceed that by between.
_FREQUENCIES = 32
_BETWEEN = 1.02


def magnitudes(chain: tuple[Block, ...], pixel_bound: float) -> tuple[float, ...]:
    """The largest absolute value before the first block and after each."""
    found = [pixel_bound]
    for block in chain:
        largest = float((np.abs(block.weight).sum((1, 2, 3)) * found[-1] + np.abs(block.bias)).max())
        found.append(largest**2 if block.squares else largest)
    return tuple(found)


def relevant_outputs(chain: tuple[Block, ...], reach: Sequence[float], feature_bound: float) -> list[float]:
    """The largest outputs of each block at which the features can be in range: bounded for the last only."""
    return [*reach[1:-1], min(reach[-1], feature_bound)]


@dataclass(frozen=True)
class NoiseBounds:
    """What multiplies noise in each block.

    gains     the largest factor by which a filter multiplies the deviation of independent noise along any
              direction: the maximum, over frequencies, of its response to all input channels
    outputs   the largest means of squares, hence the largest mean square of what multiplies noise
    """

    squares: tuple[bool, ...]
    windows: tuple[int, ...]
    gains: tuple[float, ...]
    outputs: tuple[float, ...]

    @classmethod
    def of(cls, chain: tuple[Block, ...], reach: Sequence[float], feature_bound: float) -> NoiseBounds:
        return cls(
            tuple(block.squares for block in chain),
            tuple(block.window for block in chain),
            tuple(_gain(block) for block in chain),
            tuple(relevant_outputs(chain, reach, feature_bound)),
        )

    def deviations(
        self, degree: int, moduli: tuple[int, ...], scales: Scales, primes: Sequence[int]
    ) -> tuple[float, ...]:
        """The deviation of each block's outputs, in their units; `primes` are left before each."""
        model, special = NoiseModel(degree, moduli), moduli[-1]
        noise = fresh_noise(model, special, scales.entry[0])
        found = []
        for index, squares in enumerate(self.squares):
            summed, window = self.gains[index] * noise, self.windows[index]
            if squares:
                averaged = 2 * math.sqrt(self.outputs[index] / window) * summed
                # The square of the noise has a mean, which all positions of a window share.
                switched = model.key_switch(primes[index], scales.total[index]).total
                noise = math.hypot(averaged, 2 * summed**2, switched)
            else:
                noise = summed / math.sqrt(window)
            # The answer is rounded twice: when it is rescaled, and with the fresh encryption of zero.
            roundings = 2 if index + 1 == len(self.squares) else 1
            noise = math.hypot(noise, math.sqrt(roundings) * model.rounding(scales.leaving[index]))
            found.append(noise)
        return tuple(found)


def _gain(block: Block) -> float:
    response = np.fft.fft2(block.weight, (_FREQUENCIES, _FREQUENCIES))
    return float(np.sqrt((np.abs(response) ** 2).sum(1)).max()) * _BETWEEN


def fresh_noise(model: NoiseModel, special: int, scale: float) -> float:
    """Of a pixel: SEAL encrypts modulo the special prime too, and divides by it; the encoder rounds."""
    return math.hypot(model.fresh(scale * special), model.rounding(scale), model.encoding(1.0, scale))


def rounding_error(
    chain: tuple[Block, ...],
    rounded: Sequence[NDArray[np.float64]],
    reach: Sequence[float],
    feature_bound: float,
) -> float:
    """By how much `rounded` weights in the blocks' places can move a feature in range, at most."""
    outputs = relevant_outputs(chain, reach, feature_bound)
    error = 0.0
    for index, (block, weight) in enumerate(zip(chain, rounded, strict=True)):
        moved = np.abs(weight - block.weight).sum((1, 2, 3)) * reach[index]
        summed = float((moved + np.abs(weight).sum((1, 2, 3)) * error).max())
        # The mean of (u + e)^2 - u^2 is at most 2 |e| times the root mean square of u, and e^2.
        error = 2 * math.sqrt(outputs[index]) * summed + summed**2 if block.squares else summed
    return error
