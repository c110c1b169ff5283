"""Chooses the encryption parameters of frames in slots for a private part.

The smallest degree is taken at which a chain is secure, precise and leaves room for flooding, and there the
shortest chain, since every bit of it is in every coefficient that testers send. A degree of 4096 would halve
that, but its modulus, 109 bits with the key-switching prime, lacks a dozen bits for one block of a detector.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pvcnn.errors import ParameterError
from pvcnn.he.encryption_plan import FLOODING_FRACTION, MAX_FEATURE_LIMIT, OUTPUT_HEADROOM_BITS
from pvcnn.he.frame_slots.blocks import Block, Shape3, blocks
from pvcnn.he.frame_slots.chains import MAX_WEIGHT_SUM, Chain, integer_weights, make_chain, scales
from pvcnn.he.frame_slots.noise import NoiseBounds, magnitudes, rounding_error
from pvcnn.he.frame_slots.plan import MAX_WEIGHT_BITS, BlockReport, FrameSlotsPlan
from pvcnn.he.frame_slots.tiling import fewest_ciphertexts
from pvcnn.he.parameters import FEATURE_LIMIT, MIN_HEADROOM_BITS
from pvcnn.he.precision import TAIL, NoiseModel
from pvcnn.he.primes import MODULUS_BUDGET, transform_primes
from pvcnn.program.layers import Shape
from pvcnn.program.private import PrivatePart

SCALE_BITS = range(20, 46)
WEIGHT_BITS = range(8, MAX_WEIGHT_BITS + 1)

#: The key-switching prime divides the error of a fresh ciphertext, and what it leaves of a key switch's is
#: nothing next to the scale of a square.
SPECIAL_PRIME_BITS = 30

#: By how many bits flooding exceeds the evaluation noise: one more than a frame's own ciphertexts have room
#: for at degree 8192. Every further bit takes three of the modulus.
FLOODING_BITS = 8

#: Rounded weights may move a feature by this fraction of its step, besides flooding's eighth.
ROUNDING_FRACTION = 1 / 16


def plan(private: PrivatePart, frames: int, feature_limit: int = FEATURE_LIMIT) -> FrameSlotsPlan:
    """The plan of smallest degree for a private part on batches of so many frames, deterministic.

    feature_limit bounds the integer features (output / feature_step) in absolute value. Raises
    ParameterError if there is no plan, naming the last block's layer.
    """
    return choose(private, frames, feature_limit)[0]


def choose(private: PrivatePart, frames: int, feature_limit: int) -> tuple[FrameSlotsPlan, Chain]:
    """The plan, and what the owner alone needs of how it came about."""
    if not 1 <= feature_limit < MAX_FEATURE_LIMIT:
        raise ParameterError(f"features cannot be bounded by {feature_limit}")
    most = max(MODULUS_BUDGET) // 2
    if not 1 <= frames <= most:
        raise ParameterError(f"a batch has 1 to {most} frames, not {frames}: split it")
    search = _Search(private, frames, feature_limit)
    name = search.chain[-1].name
    try:
        with np.errstate(over="raise", invalid="raise"):
            fitting = _first(search, frames)
    except ArithmeticError as error:
        raise ParameterError(
            f"{name}: weights, pixels or feature steps down to this block are too large or small for double"
            " precision; scale them"
        ) from error
    if fitting is None:
        raise ParameterError(
            f"{name}: no secure modulus has room for the private part down to this block at the precision"
            f" that features of step {private.feature_step:.3g} need"
        )
    return fitting


def _first(search: _Search, frames: int) -> tuple[FrameSlotsPlan, Chain] | None:
    """Raises ArithmeticError for numbers beyond all doubles, which no modulus could hold either."""
    for degree in MODULUS_BUDGET:
        if frames > degree // 2:
            continue
        for found in sorted(search.candidates(degree), key=lambda f: (sum(f.data_bits), len(f.data_bits))):
            made = search.made(degree, found)
            if made is not None:
                return made, found
    return None


@dataclass(frozen=True, eq=False)
class _Search:
    private: PrivatePart
    frames: int
    feature_limit: int

    @cached_property
    def chain(self) -> tuple[Block, ...]:
        return blocks(self.private)

    @cached_property
    def reach(self) -> tuple[float, ...]:
        return magnitudes(self.chain, self.private.pixel_bound)

    @property
    def feature_bound(self) -> float:
        return self.feature_limit * self.private.feature_step

    @cached_property
    def bounds(self) -> NoiseBounds:
        return NoiseBounds.of(self.chain, self.reach, self.feature_bound)

    @property
    def headroom(self) -> int:
        """Bits by which the modulus exceeds the answer's scale: for features, for all values, for noise."""
        features = math.ceil(math.log2(self.feature_bound)) + OUTPUT_HEADROOM_BITS
        return max(MIN_HEADROOM_BITS, features, math.ceil(math.log2(max(self.reach[-1], 1.0))) + 2)

    @property
    def flooding(self) -> float:
        return self.private.feature_step * FLOODING_FRACTION

    def flooding_bits(self, noise: float) -> float:
        share = self.flooding / (TAIL * noise)
        return math.log2(share) if share > 0 else -math.inf

    def answer_bits(self, degree: int) -> int:
        """Of a scale at which an answer's two roundings are a quarter of the noise that there may be."""
        rounding = math.sqrt(2) * NoiseModel(degree, ()).rounding(1.0)
        return math.ceil(math.log2(4 * TAIL * rounding * 2**FLOODING_BITS / self.flooding))

    def weight_bits(self) -> Iterator[tuple[int, ...]]:
        """Per block, such that rounding them is harmless and sums of products are exact."""
        for bits in WEIGHT_BITS:
            each = tuple(0 if block.is_exact else bits for block in self.chain)
            integers = [integer_weights(block, b) for block, b in zip(self.chain, each, strict=True)]
            if max(int(np.abs(w).sum((1, 2, 3)).max()) for w in integers) >= MAX_WEIGHT_SUM:
                return
            rounded = [w / 2.0**b for w, b in zip(integers, each, strict=True)]
            error = rounding_error(self.chain, rounded, self.reach, self.feature_bound)
            if error <= ROUNDING_FRACTION * self.private.feature_step:
                yield each

    def candidates(self, degree: int) -> Iterator[Chain]:
        """Chains within the budget that are precise, were their primes powers of two."""
        budget = MODULUS_BUDGET[degree] - SPECIAL_PRIME_BITS
        answer_bits = self.answer_bits(degree)
        for weight_bits in self.weight_bits():
            for scale_bits in SCALE_BITS:
                found = make_chain(self.chain, scale_bits, weight_bits, answer_bits, self.headroom)
                if found is None or sum(found.data_bits) > budget:
                    continue
                moduli = tuple(1 << bits for bits in (*found.data_bits, SPECIAL_PRIME_BITS))
                if self.flooding_bits(self.noises(degree, found, moduli)[-1]) >= FLOODING_BITS:
                    yield found

    def noises(self, degree: int, found: Chain, moduli: tuple[int, ...]) -> tuple[float, ...]:
        primes = [found.primes_before(index) for index in range(len(self.chain))]
        return self.bounds.deviations(degree, moduli, scales(self.chain, found, moduli[:-1]), primes)

    def made(self, degree: int, found: Chain) -> FrameSlotsPlan | None:
        """The plan, or None where there are no such primes or these are not precise enough after all."""
        try:
            moduli = transform_primes(degree, (*found.data_bits, SPECIAL_PRIME_BITS))
        except ValueError:
            return None
        noises = self.noises(degree, found, moduli)
        rooms = self.rooms(found, moduli)
        flooding = math.floor(self.flooding_bits(noises[-1]))
        if flooding < FLOODING_BITS or min(rooms) < 1:
            return None
        answer_scale = scales(self.chain, found, moduli[:-1]).leaving[-1]
        if self.feature_bound * answer_scale * 2**OUTPUT_HEADROOM_BITS > 2 ** moduli[0].bit_length():
            return None
        tiling = fewest_ciphertexts(self.chain, self.frames, degree // 2)
        return FrameSlotsPlan(
            degree=degree,
            moduli=moduli,
            scale_bits=found.scale_bits,
            answer_scale=answer_scale,
            input_shape=_three(self.private.input_shape),
            pixel_bound=float(self.private.pixel_bound),
            output_shape=_three(self.private.output_shape),
            tiling=tiling,
            feature_step=float(self.private.feature_step),
            feature_limit=self.feature_limit,
            flooding_bits=flooding,
            blocks=tuple(
                BlockReport(
                    name=block.name,
                    weight_bits=found.weight_bits[index],
                    squares=block.squares,
                    primes=found.primes_before(index + 1),
                    headroom_bits=math.floor(rooms[index]),
                    precision_bits=math.floor(-math.log2(TAIL * noises[index])),
                )
                for index, block in enumerate(self.chain)
            ),
        )

    def rooms(self, found: Chain, moduli: tuple[int, ...]) -> list[float]:
        """For each block, the bits between the largest value of its means and half the modulus."""
        totals = scales(self.chain, found, moduli[:-1]).total
        return [
            sum(math.log2(m) for m in moduli[: found.primes_before(i)])
            - (1 + math.log2(totals[i]) + math.log2(max(self.reach[i + 1], 1.0)))
            for i in range(len(self.chain))
        ]


def _three(shape: Shape) -> Shape3:
    channels, rows, columns = shape
    return channels, rows, columns
