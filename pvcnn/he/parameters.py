"""Chooses encryption parameters for a private part (docs/protocol.md, section "Private part").

The smallest degree is taken at which everything fits: the frame and the outputs into the slots, the
chain's depth into the modulus that 128-bit security allows, the largest possible output under the
last prime, and the noise under the features' quantisation step with room for flooding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from pvcnn.errors import ParameterError
from pvcnn.he.encryption_plan import (
    FLOODING_FRACTION,
    MAX_SCALE_BITS,
    OUTPUT_HEADROOM_BITS,
    EncryptionPlan,
    LayerReport,
)
from pvcnn.he.packing import TAPS, OutputLayout
from pvcnn.he.precision import TAIL, Estimate, NoiseModel
from pvcnn.he.primes import MAX_PRIME_BITS, MODULUS_BUDGET, transform_primes
from pvcnn.he.schedule import Level, Stage, levels, stages
from pvcnn.program.private import PrivateAveragePool, PrivateConvolution, PrivatePart, Square

__all__ = ["EncryptionPlan", "LayerReport", "plan"]

MIN_SCALE_BITS = 20

#: The first prime exceeds the scale by at least this: room for noise where no output is.
MIN_HEADROOM_BITS = 10

#: A plan must leave room for flooding noise at least this many bits above the evaluation noise.
MIN_FLOODING_BITS = 3

#: The key-switching prime is this much smaller than the first prime: key-switching noise is then
#: about that of fresh encryption, and every bit saved here makes the scale larger.
SPECIAL_PRIME_SAVING = 2


class _TooSmallError(Exception):
    """The degree at hand does not do; the message names what does not fit."""


def plan(private: PrivatePart) -> EncryptionPlan:
    """The plan of smallest degree for a private part.

    Deterministic: owner and cluster get the same plan from the same layers. Raises ParameterError,
    naming the layer that does not fit at any degree.
    """
    if not (math.isfinite(private.pixel_bound) and private.pixel_bound > 0):
        raise ParameterError(f"the pixel bound {private.pixel_bound} is not a positive number")
    if not (math.isfinite(private.feature_step) and private.feature_step > 0):
        raise ParameterError(f"the feature step {private.feature_step} is not a positive number")
    chain = stages(private)
    reason = ""
    for degree in MODULUS_BUDGET:
        try:
            return _plan_at(degree, private, chain)
        except _TooSmallError as error:
            reason = str(error)
    raise ParameterError(reason)


def _plan_at(degree: int, private: PrivatePart, chain: tuple[Stage, ...]) -> EncryptionPlan:
    layout = _layout(degree // 2, private, chain)
    scale_bits, moduli = _moduli(degree, chain, private.pixel_bound)
    model = NoiseModel(degree, moduli)
    track = levels(chain, moduli, 2.0**scale_bits)
    start = Estimate(private.pixel_bound, model.fresh(2.0**scale_bits))
    estimates = list(_estimates(chain, track, model, start))
    noise = TAIL * _answer_noise(chain[-1], track[-1], model, estimates[-1], 2.0**scale_bits)
    flooding_bits = math.floor(math.log2(private.feature_step * FLOODING_FRACTION / noise))
    if flooding_bits < MIN_FLOODING_BITS:
        ratios = [
            after.noise * stage.output_factor / (before.noise * stage.factor)
            for stage, before, after in zip(chain, [start, *estimates], estimates, strict=False)
        ]
        name = chain[int(np.argmax(ratios))].layer.name
        raise _TooSmallError(
            f"{name}: loses the precision that features of step {private.feature_step:.3g} need:"
            f" noise may reach {noise:.1g} at degree {degree} and scale 2^{scale_bits}"
        )
    turns = [step for stage in chain for step in stage.steps] + layout.steps()
    return EncryptionPlan(
        degree=degree,
        moduli=moduli,
        scale_bits=scale_bits,
        input_shape=_three(private.input_shape),
        pixel_bound=float(private.pixel_bound),
        output_shape=_three(private.output_shape),
        output_gap=chain[-1].output_grid.gap,
        feature_step=float(private.feature_step),
        steps=tuple(sorted({step % (degree // 2) for step in turns} - {0})),
        flooding_bits=flooding_bits,
        layers=tuple(
            _report(stage, level, estimate, moduli)
            for stage, level, estimate in zip(chain, track[1:], estimates, strict=True)
        ),
    )


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


def _moduli(degree: int, chain: tuple[Stage, ...], pixel_bound: float) -> tuple[int, tuple[int, ...]]:
    """(bits of the scale, primes): the largest scale that budget, depth and magnitudes allow."""
    depth = 1 + sum(stage.primes_used for stage in chain)
    headroom = MIN_HEADROOM_BITS
    for stage, magnitude in zip(chain, _magnitudes(chain, pixel_bound), strict=True):
        bits = math.ceil(math.log2(max(magnitude * stage.output_factor, 1.0))) + OUTPUT_HEADROOM_BITS
        if bits + MIN_SCALE_BITS > MAX_PRIME_BITS:
            raise _TooSmallError(
                f"{stage.layer.name}: values may reach 2^{bits - OUTPUT_HEADROOM_BITS}, for which no prime"
                " has room"
            )
        if stage is chain[-1]:
            headroom = max(headroom, bits)
    budget = MODULUS_BUDGET[degree] - 2 * headroom + SPECIAL_PRIME_SAVING
    scale_bits = min(MAX_SCALE_BITS, MAX_PRIME_BITS - headroom, budget // (depth + 2))
    if scale_bits < MIN_SCALE_BITS:
        raise _TooSmallError(f"{_first_too_deep(degree, chain, headroom)}: is too deep for degree {degree}")
    first = scale_bits + headroom
    bit_lengths = (first, *[scale_bits] * depth, first - SPECIAL_PRIME_SAVING)
    return scale_bits, transform_primes(degree, bit_lengths)


def _first_too_deep(degree: int, chain: tuple[Stage, ...], headroom: int) -> str:
    depth = 1
    for stage in chain:
        depth += stage.primes_used
        if (MODULUS_BUDGET[degree] - 2 * headroom + SPECIAL_PRIME_SAVING) // (depth + 2) < MIN_SCALE_BITS:
            return stage.layer.name
    return chain[-1].layer.name


def _magnitudes(chain: tuple[Stage, ...], pixel_bound: float) -> Iterator[float]:
    """After each stage, the largest absolute value that a slot can hold."""
    magnitude = pixel_bound
    for stage in chain:
        match stage.layer:
            case PrivateConvolution(bias=bias):
                magnitude = float(np.max(np.abs(stage.kernel).sum((1, 2)) * magnitude + np.abs(bias)))
            case Square():
                magnitude **= 2
            case PrivateAveragePool(size=size):
                magnitude *= size**2
        yield magnitude


def _estimates(
    chain: tuple[Stage, ...], track: tuple[Level, ...], model: NoiseModel, start: Estimate
) -> Iterator[Estimate]:
    """After each stage, magnitude and noise of the slots."""
    noise = start.noise
    before = start.magnitude
    for index, (stage, after) in enumerate(zip(chain, _magnitudes(chain, start.magnitude), strict=True)):
        level, scale = track[index], track[index + 1].scale
        match stage.layer:
            case PrivateConvolution():
                turned = math.hypot(noise, model.key_switch(level.primes, level.scale))
                norm = float(np.sqrt((stage.kernel**2).sum((1, 2))).max())
                taps = math.sqrt(stage.channels * len(TAPS))
                coded = taps * model.encoding(before, level.plaintext_scale)
                noise = math.hypot(norm * turned, coded, model.rounding(scale))
            case Square():
                switched = model.key_switch(level.primes, level.scale**2)
                noise = math.hypot(2 * before * noise, noise**2, switched, model.rounding(scale))
            case PrivateAveragePool():
                for _ in stage.steps:
                    noise = math.hypot(noise, noise, model.key_switch(level.primes, level.scale))
        before = after
        yield Estimate(after, noise)


def _answer_noise(last: Stage, level: Level, model: NoiseModel, estimate: Estimate, scale: float) -> float:
    """Deviation of an output's noise, in the output's units, before flooding."""
    coded = model.encoding(estimate.magnitude, level.plaintext_scale)
    switched = model.key_switch(level.primes, level.scale * level.plaintext_scale)
    placed = math.sqrt(last.output_channels) * switched
    # Twice the rounding: the answer's own, and that of the fresh encryption of zero.
    finish = math.sqrt(2) * model.rounding(scale)
    return math.hypot(last.output_factor * estimate.noise, coded, placed, finish)


def _report(stage: Stage, after: Level, estimate: Estimate, moduli: tuple[int, ...]) -> LayerReport:
    modulus_bits = sum(math.log2(modulus) for modulus in moduli[: after.primes])
    room = modulus_bits - 1 - math.log2(after.scale) - math.log2(max(estimate.magnitude, 2.0**-64))
    return LayerReport(
        name=stage.layer.name,
        kind=_KINDS[type(stage.layer)],
        primes=after.primes,
        headroom_bits=math.floor(room),
        precision_bits=math.floor(-math.log2(TAIL * estimate.noise * stage.output_factor)),
    )


_KINDS: dict[type, str] = {
    PrivateConvolution: "convolution",
    Square: "square",
    PrivateAveragePool: "average-pool",
}
