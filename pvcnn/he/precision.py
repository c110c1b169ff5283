"""How large values can get and how large the noise is, layer by layer, before anything is encrypted.

Noise is the standard deviation of a slot's real part by the usual average-case estimates for CKKS
(Kim et al., eprint 2020/1118), with independent coefficients. Whatever multiplies noise is taken at the
largest magnitude at which the features can still be in range, so real frames see less.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pvcnn.errors import ParameterError
from pvcnn.he.packing import TAPS
from pvcnn.he.schedule import Level, Stage
from pvcnn.program.private import PrivateAveragePool, PrivateConvolution, Square

#: Deviation of SEAL's error distribution.
ERROR_DEVIATION = 3.2

#: A normal variable leaves this many deviations with probability 2e-9.
TAIL = 6.0

#: More than half of the largest secure modulus; its square is still a finite double.
_BEYOND_ANY_MODULUS = 2.0**500


@dataclass(frozen=True)
class Estimate:
    """What a slot holds after a stage: at most `magnitude`, with noise of deviation `noise`."""

    magnitude: float
    noise: float


class NoiseModel:
    """Noise terms at one degree and modulus chain (data primes in order, then the special one)."""

    def __init__(self, degree: int, moduli: tuple[int, ...]) -> None:
        self._degree = degree
        self._moduli = moduli

    def _slot(self, coefficient_variance: float, scale: float) -> float:
        """Deviation of a slot's real part from the variance of each coefficient."""
        return math.sqrt(coefficient_variance * self._degree / 2) / scale

    def fresh(self, scale: float) -> float:
        """Of a public-key encryption: v e + e_0 + e_1 s with v and s ternary."""
        return self._slot(ERROR_DEVIATION**2 * (4 * self._degree / 3 + 1), scale)

    def rounding(self, scale: float) -> float:
        """Of dividing by a prime, in the new scale: two rounded polynomials, one times s."""
        return self._slot((1 + 2 * self._degree / 3) / 12, scale)

    def key_switch(self, primes: int, scale: float) -> float:
        """Of a rotation or relinearisation with `primes` data primes left, in the slot that gets most.

        SEAL's digits lie in [0, q_i) and not around zero. Their mean is a geometric sum at the encoder's
        roots, largest in slot 0, whose root is next to 1: there it outweighs their variance, N / 12, by
        N^2 / pi^2.
        """
        special, degree = self._moduli[-1], self._degree
        digits = sum((modulus / special) ** 2 for modulus in self._moduli[:primes])
        variance = digits * ERROR_DEVIATION**2 * (degree / 12 + degree**2 / math.pi**2)
        return math.hypot(self._slot(variance, scale), self.rounding(scale))

    def encoding(self, magnitude: float, scale: float) -> float:
        """Of multiplying a value of this magnitude by a plaintext rounded to integers at `scale`."""
        return magnitude * self._slot(1 / 12, scale)


def magnitudes(chain: tuple[Stage, ...], pixel_bound: float) -> tuple[float, ...]:
    """The largest absolute value that a slot can hold before the first stage and after each.

    Raises ParameterError, naming the layer, for values that no modulus could hold.
    """
    found = [pixel_bound]
    for stage in chain:
        match stage.layer:
            case PrivateConvolution(bias=bias):
                reach = np.abs(stage.kernel).sum((1, 2)) * found[-1] + np.abs(bias)
                found.append(float(reach.max()))
            case Square():
                found.append(found[-1] ** 2)
            case PrivateAveragePool(size=size):
                found.append(found[-1] * size**2)
        if found[-1] > _BEYOND_ANY_MODULUS:
            raise ParameterError(f"{stage.layer.name}: values may reach {found[-1]:.1g}")
    return tuple(found)


def relevant_magnitudes(
    chain: tuple[Stage, ...], pixel_bound: float, feature_bound: float
) -> tuple[float, ...]:
    """As `magnitudes`, but at most what leaves the features within `feature_bound`.

    Back from the features to the last convolution: a mean of squares bounds their mean, and noise is
    averaged along with them, so the root mean square is the magnitude that counts before a square.
    """
    reach = list(magnitudes(chain, pixel_bound))
    bound = feature_bound
    for index in range(len(chain), 0, -1):
        stage = chain[index - 1]
        reach[index] = min(reach[index], bound / stage.output_factor)
        match stage.layer:
            case PrivateConvolution():
                break
            case Square():
                bound = math.sqrt(bound)
            case PrivateAveragePool():
                pass
    return tuple(reach)


def estimates(
    chain: tuple[Stage, ...], track: tuple[Level, ...], model: NoiseModel, reach: tuple[float, ...]
) -> Iterator[Estimate]:
    """Before the first stage and after each: magnitude (`reach`) and noise of the slots."""
    noise = model.fresh(track[0].scale)
    yield Estimate(reach[0], noise)
    for index, stage in enumerate(chain):
        level, scale, before = track[index], track[index + 1].scale, reach[index]
        match stage.layer:
            case PrivateConvolution():
                turned = math.hypot(noise, model.key_switch(level.primes, level.scale))
                norm = float(np.sqrt((stage.kernel**2).sum((1, 2))).max())
                coded = math.sqrt(stage.channels * len(TAPS)) * model.encoding(before, level.plaintext_scale)
                noise = math.hypot(norm * turned, coded, model.rounding(scale))
            case Square():
                switched = model.key_switch(level.primes, level.scale**2)
                noise = math.hypot(2 * before * noise, noise**2, switched, model.rounding(scale))
            case PrivateAveragePool():
                for _ in stage.steps:
                    noise = math.hypot(noise, noise, model.key_switch(level.primes, level.scale))
        if stage.merges:
            noise *= math.sqrt(2)
        yield Estimate(reach[index + 1], noise)


def answer_noise(last: Stage, level: Level, model: NoiseModel, estimate: Estimate, scale: float) -> float:
    """Deviation of an output's noise, in the output's units, before flooding.

    `level` is the one before the final mask, `estimate` what the slots hold there, `scale` the answer's.
    """
    coded = model.encoding(estimate.magnitude, level.plaintext_scale)
    switched = model.key_switch(level.primes, level.scale * level.plaintext_scale)
    placed = math.sqrt(last.output_channels / 2) * switched
    # Twice the rounding: the answer's own, and that of the fresh encryption of zero.
    finish = math.sqrt(2) * model.rounding(scale)
    return math.hypot(last.output_factor * estimate.noise, coded, placed, finish)
