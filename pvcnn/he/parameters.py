"""Chooses encryption parameters for a private part (docs/protocol.md, section "Private part").

The smallest degree is taken at which everything fits: the frame and the outputs into the slots, the
chain's depth into the modulus that 128-bit security allows, every value under the primes that are left,
and the noise under the features' quantisation step with room for flooding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pvcnn.errors import ParameterError
from pvcnn.he.encryption_plan import (
    FLOODING_FRACTION,
    MAX_SCALE_BITS,
    OUTPUT_HEADROOM_BITS,
    EncryptionPlan,
    LayerReport,
)
from pvcnn.he.packing import OutputLayout
from pvcnn.he.precision import (
    TAIL,
    Estimate,
    NoiseModel,
    answer_noise,
    estimates,
    magnitudes,
    relevant_magnitudes,
)
from pvcnn.he.primes import MAX_PRIME_BITS, MODULUS_BUDGET, transform_primes
from pvcnn.he.schedule import Level, Stage, levels, stages
from pvcnn.program.private import PrivateAveragePool, PrivateConvolution, PrivatePart, Square

__all__ = ["FEATURE_LIMIT", "EncryptionPlan", "LayerReport", "plan"]

#: Features of twelve bits and a sign are planned for unless told otherwise.
FEATURE_LIMIT = 1 << 12

MIN_SCALE_BITS = 20

#: The first prime exceeds the scale by at least this: room for noise where no output is.
MIN_HEADROOM_BITS = 10

#: A plan must leave room for flooding noise at least this many bits above the evaluation noise.
MIN_FLOODING_BITS = 6

#: By how many bits the key-switching prime may exceed the first prime. A larger one makes key switching
#: quieter and, within the budget, the scale smaller; the planner takes what leaves least noise.
SPECIAL_PRIME_MARGINS = range(-2, 9)

_KINDS: dict[type, str] = {
    PrivateConvolution: "convolution",
    Square: "square",
    PrivateAveragePool: "average-pool",
}


class _TooSmallError(Exception):
    """The degree at hand does not do; the message names what does not fit."""


def plan(private: PrivatePart, feature_limit: int = FEATURE_LIMIT) -> EncryptionPlan:
    """The plan of smallest degree for a private part, deterministic.

    feature_limit bounds the integer features (output / feature_step) in absolute value. Larger ones up
    to eight times the limit decrypt correctly and `quantise` refuses them; beyond that decryption wraps
    around, which throws all outputs off by multiples of the first prime, and `quantise` refuses them too.

    Raises ParameterError, naming the layer that does not fit at any degree.
    """
    if feature_limit < 1:
        raise ParameterError(f"features cannot be bounded by {feature_limit}")
    chain = stages(private)
    reason = ""
    for degree in MODULUS_BUDGET:
        try:
            return _plan_at(degree, private, feature_limit, chain)
        except _TooSmallError as error:
            reason = str(error)
    raise ParameterError(reason)


@dataclass(frozen=True)
class _Choice:
    """A modulus chain, with what it makes of the layers."""

    scale_bits: int
    moduli: tuple[int, ...]
    track: tuple[Level, ...]
    noises: tuple[Estimate, ...]
    answer_noise: float


def _plan_at(
    degree: int, private: PrivatePart, feature_limit: int, chain: tuple[Stage, ...]
) -> EncryptionPlan:
    layout = _layout(degree // 2, private, chain)
    feature_bound = feature_limit * private.feature_step
    reach = relevant_magnitudes(chain, private.pixel_bound, feature_bound)
    choice = _quietest(degree, chain, feature_bound, reach)
    rooms = _rooms(chain, choice, private.pixel_bound)
    noise = TAIL * choice.answer_noise
    flooding_bits = math.floor(math.log2(private.feature_step * FLOODING_FRACTION / noise))
    if flooding_bits < MIN_FLOODING_BITS:
        raise _TooSmallError(
            f"{_lossiest(chain, choice.noises)}: loses the precision that features of step"
            f" {private.feature_step:.3g} need: noise may reach {noise:.1g} at degree {degree}"
        )
    turns = [step for stage in chain for step in stage.steps] + layout.steps()
    return EncryptionPlan(
        degree=degree,
        moduli=choice.moduli,
        scale_bits=choice.scale_bits,
        input_shape=_three(private.input_shape),
        pixel_bound=float(private.pixel_bound),
        output_shape=_three(private.output_shape),
        output_gap=chain[-1].output_grid.gap,
        feature_step=float(private.feature_step),
        feature_limit=feature_limit,
        steps=tuple(sorted({step % (degree // 2) for step in turns} - {0})),
        flooding_bits=flooding_bits,
        layers=tuple(
            LayerReport(
                name=stage.layer.name,
                kind=_KINDS[type(stage.layer)],
                primes=level.primes,
                headroom_bits=math.floor(room),
                precision_bits=math.floor(-math.log2(TAIL * estimate.noise * stage.output_factor)),
            )
            for stage, level, room, estimate in zip(
                chain, choice.track[1:], rooms, choice.noises[1:], strict=True
            )
        ),
    )


def _quietest(
    degree: int, chain: tuple[Stage, ...], feature_bound: float, reach: tuple[float, ...]
) -> _Choice:
    """The chain that leaves least noise, over all margins at which there is one."""
    choices = []
    for margin in SPECIAL_PRIME_MARGINS:
        try:
            choices.append(_choose(degree, chain, feature_bound, reach, margin))
        except _TooSmallError:
            if not choices:
                raise
    return min(choices, key=lambda choice: choice.answer_noise)


def _choose(
    degree: int, chain: tuple[Stage, ...], feature_bound: float, reach: tuple[float, ...], margin: int
) -> _Choice:
    scale_bits, moduli = _moduli(degree, chain, feature_bound, margin)
    scale = 2.0**scale_bits
    track = levels(chain, moduli, scale)
    model = NoiseModel(degree, moduli)
    noises = tuple(estimates(chain, track, model, reach))
    last = answer_noise(chain[-1], track[-1], model, noises[-1], scale)
    return _Choice(scale_bits, moduli, track, noises, last)


def _three(shape: tuple[int, ...]) -> tuple[int, int, int]:
    channels, rows, columns = shape
    return channels, rows, columns


def _layout(slot_count: int, private: PrivatePart, chain: tuple[Stage, ...]) -> OutputLayout:
    _, rows, columns = private.input_shape
    first, last = chain[0], chain[-1]
    if rows * columns > slot_count:
        raise _TooSmallError(
            f"{first.layer.name}: a {rows}x{columns} channel does not fit the {slot_count} slots of a"
            " ciphertext"
        )
    layout = OutputLayout(last.output_grid, last.output_channels, slot_count)
    if last.output_channels > layout.capacity:
        raise _TooSmallError(
            f"{last.layer.name}: leaves {last.output_channels} channels of"
            f" {last.output_grid.rows}x{last.output_grid.columns}, and one ciphertext of"
            f" {slot_count} slots holds {layout.capacity}"
        )
    return layout


def _moduli(
    degree: int, chain: tuple[Stage, ...], feature_bound: float, margin: int
) -> tuple[int, tuple[int, ...]]:
    """(bits of the scale, primes): the largest scale that budget, depth and features allow."""
    feature_bits = math.ceil(math.log2(feature_bound))
    headroom = max(MIN_HEADROOM_BITS, feature_bits + OUTPUT_HEADROOM_BITS)
    if headroom + MIN_SCALE_BITS > MAX_PRIME_BITS - max(margin, 0):
        raise _TooSmallError(
            f"{chain[-1].layer.name}: features may reach 2^{feature_bits}, for which no prime has room"
        )
    largest = min(MAX_SCALE_BITS, MAX_PRIME_BITS - headroom - max(margin, 0))
    budget = MODULUS_BUDGET[degree] - 2 * headroom - margin
    depth = 1  # the final mask
    for stage in chain:
        depth += stage.primes_used
        if budget // (depth + 2) < MIN_SCALE_BITS:
            raise _TooSmallError(_too_deep(stage, depth, degree))
    scale_bits = min(largest, budget // (depth + 2))
    first = scale_bits + headroom
    bit_lengths = (first, *[scale_bits] * depth, first + margin)
    try:
        return scale_bits, transform_primes(degree, bit_lengths)
    except ValueError as error:
        raise _TooSmallError(_too_deep(chain[-1], depth, degree)) from error


def _too_deep(stage: Stage, depth: int, degree: int) -> str:
    return (
        f"{stage.layer.name}: the chain is too deep here: at degree {degree} there are no {depth} primes"
        f" of {MIN_SCALE_BITS} bits or more within the secure modulus"
    )


def _rooms(chain: tuple[Stage, ...], choice: _Choice, pixel_bound: float) -> list[float]:
    """After each stage, the bits between the largest possible value and half the modulus."""
    rooms = []
    reach = magnitudes(chain, pixel_bound)
    for stage, level, magnitude in zip(chain, choice.track[1:], reach[1:], strict=True):
        modulus_bits = sum(math.log2(modulus) for modulus in choice.moduli[: level.primes])
        room = modulus_bits - 1 - math.log2(level.scale) - math.log2(max(magnitude, 1.0))
        if room < 1:
            raise _TooSmallError(f"{stage.layer.name}: values may reach {magnitude:.1g}, beyond the modulus")
        rooms.append(room)
    return rooms


def _lossiest(chain: tuple[Stage, ...], noises: tuple[Estimate, ...]) -> str:
    """The layer that amplifies noise most."""
    values = [noises[0].noise]
    values += [
        estimate.noise * stage.output_factor for stage, estimate in zip(chain, noises[1:], strict=True)
    ]
    return chain[int(np.argmax(np.diff(np.log(values))))].layer.name
